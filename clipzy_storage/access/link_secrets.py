"""The secrets with which links to files on local storage are signed: the newest signs, older ones are still accepted.

They lie in the storage, so that every front end signs and accepts the same. Each is written once: the first one when it
is needed, and another by every rotation, which also says from when on it signs, and until when the links of those
before it are accepted.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clipzy_storage import keys
from clipzy_storage.access.refreshed import REFRESH_SECONDS, Refreshed
from clipzy_storage.backends.base import Storage, put_bytes, read_bytes
from clipzy_storage.errors import AlreadyExists, Damaged, NotFound

SIGNS_AFTER = timedelta(seconds=10)
"""How long after a rotation the new secret signs: by then every front end has read it."""
_SECRET_LENGTH = 43
_CLOCKS_DIFFER_BY = timedelta(minutes=1)


class LinkSecret(BaseModel):
    """One secret. ``signs_from`` and ``previous_until``, the end of those before it, are None for the first."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: str = Field(repr=False, min_length=_SECRET_LENGTH)
    signs_from: datetime | None = None
    previous_until: datetime | None = None

    @classmethod
    def new(cls, *, signs_from: datetime | None = None, previous_until: datetime | None = None) -> "LinkSecret":
        return cls(text=keys.random_base62(_SECRET_LENGTH), signs_from=signs_from, previous_until=previous_until)


@dataclass(frozen=True)
class LinkSecrets:
    """All secrets of one storage, oldest first."""

    secrets: Sequence[LinkSecret]

    def signing(self, now: datetime) -> str:
        """The one that signs."""
        return [secret.text for secret in self.secrets if secret.signs_from is None or secret.signs_from <= now][-1]

    def accepted(self, now: datetime) -> list[str]:
        """The newest one, and those whose last link has not expired."""
        found, until = [], None
        for secret in reversed(self.secrets):
            if until is None or now < until:
                found.append(secret.text)
            until = secret.previous_until
        return found


class LinkSecretStore:
    """The secrets in one storage. Every method may raise ``Damaged`` and ``StorageUnavailable``."""

    def __init__(self, storage: Storage, *, refresh_seconds: float = REFRESH_SECONDS) -> None:
        self._storage = storage
        self._secrets = Refreshed("the link secrets", self._read_all, LinkSecrets(()), refresh_seconds=refresh_seconds)

    def secrets(self) -> LinkSecrets:
        """As they were ``refresh_seconds`` ago, or when they could be read last. The first call of all makes one."""
        return self._secrets.value()

    def rotate(self, *, link_life: timedelta) -> datetime:
        """Sign with a new secret soon. Returns until when links that were signed before, of this life, are accepted.

        Raises ``StorageFull``, too.
        """
        self._first()
        now = datetime.now(UTC)
        signs_from = now + SIGNS_AFTER
        until = signs_from + link_life + _CLOCKS_DIFFER_BY
        self._write(keys.rotated_link_secret(now), LinkSecret.new(signs_from=signs_from, previous_until=until))
        return until

    def _read_all(self, _before: LinkSecrets) -> LinkSecrets:
        rotated = [self._read(blob.key) for blob in self._storage.list(keys.ROTATED_LINK_SECRETS)]
        return LinkSecrets([self._first(), *rotated])

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
