"""The secrets with which links to files on local storage are signed: the newest signs, older ones are still accepted.

They lie in the storage, so that every front end signs and accepts the same. Each is written once: the first one when it
is needed, and another by every rotation, which also says until when the links of those before it are accepted.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, put_bytes, read_bytes
from clipzy_storage.errors import AlreadyExists, Damaged, NotFound

REFRESH_SECONDS = 2.0
_SECRET_LENGTH = 43
# A front end that does not know the new secret yet signs with the old one for some seconds, and clocks differ.
_GRACE = timedelta(minutes=1)


class LinkSecret(BaseModel):
    """One secret; ``previous_until`` is the end of those before it, None for the first."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: str = Field(repr=False, min_length=_SECRET_LENGTH)
    previous_until: datetime | None = None

    @classmethod
    def new(cls, *, previous_until: datetime | None = None) -> "LinkSecret":
        return cls(text=keys.random_base62(_SECRET_LENGTH), previous_until=previous_until)


@dataclass(frozen=True)
class LinkSecrets:
    """All secrets of one storage, oldest first."""

    secrets: Sequence[LinkSecret]

    @property
    def current(self) -> str:
        """The one that signs."""
        return self.secrets[-1].text

    def accepted(self, now: datetime) -> list[str]:
        """The current one, and those whose last link has not expired."""
        found, until = [], None
        for secret in reversed(self.secrets):
            if until is None or now < until:
                found.append(secret.text)
            until = secret.previous_until
        return found


class LinkSecretStore:
    """The secrets in one storage. Every method may raise ``Damaged``, ``StorageFull`` and ``StorageUnavailable``."""

    def __init__(self, storage: Storage, *, refresh_seconds: float = REFRESH_SECONDS) -> None:
        self._storage, self._refresh_seconds = storage, refresh_seconds
        self._known: LinkSecrets | None = None
        self._read_at = float("-inf")
        self._reading = threading.Lock()

    def secrets(self) -> LinkSecrets:
        """As they were at most ``refresh_seconds`` ago. The first is made by the first call of all."""
        with self._reading:
            if self._known is None or time.monotonic() - self._read_at >= self._refresh_seconds:
                rotated = [self._read(blob.key) for blob in self._storage.list(keys.ROTATED_LINK_SECRETS)]
                self._known, self._read_at = LinkSecrets([self._first(), *rotated]), time.monotonic()
            return self._known

    def rotate(self, *, link_life: timedelta) -> datetime:
        """Sign with a new secret. Returns until when the links that were signed before, of this life, are accepted."""
        self._first()
        now = datetime.now(UTC)
        until = now + link_life + _GRACE
        self._write(keys.rotated_link_secret(now), LinkSecret.new(previous_until=until))
        return until

    def _first(self) -> LinkSecret:
        try:
            return self._read(keys.LINK_SECRET)
        except NotFound:
            with suppress(AlreadyExists):  # another front end was faster
                self._write(keys.LINK_SECRET, LinkSecret.new())
            return self._read(keys.LINK_SECRET)

    def _read(self, key: str) -> LinkSecret:
        try:
            return LinkSecret.model_validate_json(read_bytes(self._storage, key))
        except ValidationError as error:
            raise Damaged(f"{key} holds no secret for links") from error

    def _write(self, key: str, secret: LinkSecret) -> None:
        text = secret.model_dump_json() + "\n"
        put_bytes(self._storage, key, text.encode(), content_type="application/json")
