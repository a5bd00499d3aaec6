"""API keys in storage: made, listed and revoked. Losing Redis loses none.

A key's record is never changed. To revoke a key is to move its record, so that the names under one prefix are the keys
that are accepted.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import ValidationError

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, put_bytes, read_bytes
from clipzy_storage.errors import AlreadyExists, Damaged, NotFound
from clipzy_storage.models.access import ApiKey, Scope
from clipzy_storage.models.records import SCHEMA_VERSION

PREFIX = "clz"
_SECRET_LENGTH = 43
_KEY = re.compile(f"{PREFIX}_([0-9A-Za-z]{{{keys.KEY_ID_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})")


@dataclass(frozen=True)
class KeyText:
    """A key as its bearer has it: ``clz_{id}_{secret}``."""

    key_id: str
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "KeyText | None":
        """None if the text has another form."""
        found = _KEY.fullmatch(text)
        return cls(*found.groups()) if found else None

    def __str__(self) -> str:
        return f"{PREFIX}_{self.key_id}_{self.secret}"

    def opens(self, key: ApiKey) -> bool:
        """Whether this is the key of that record. Takes the same time for every wrong secret."""
        return self.key_id == key.key_id and hmac.compare_digest(_digest(self.secret), key.secret_sha256)


class ApiKeys:
    """The API keys in one storage. Every method may raise ``StorageUnavailable``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def create(
        self, name: str, *, owner: str, scopes: Iterable[Scope], expires_at: datetime | None
    ) -> tuple[ApiKey, KeyText]:
        """A new key, and the only copy of its text."""
        text = KeyText(keys.new_key_id(), keys.random_base62(_SECRET_LENGTH))
        key = ApiKey(
            key_id=text.key_id,
            name=name,
            owner=owner,
            scopes=frozenset(scopes),
            secret_sha256=_digest(text.secret),
            created_at=datetime.now(UTC),
            expires_at=expires_at,
        )
        self._write(keys.api_key(key.key_id), key)
        return key, text

    def ids(self) -> set[str]:
        """The ids of all keys that are not revoked."""
        return self._ids(keys.API_KEYS)

    def revoked_ids(self) -> set[str]:
        """The ids of all keys that were revoked."""
        return self._ids(keys.REVOKED_KEYS)

    def read(self, key_id: str) -> ApiKey:
        """A key that is not revoked. Raises ``NotFound``, and ``Damaged`` if its record cannot be read."""
        return self._read(keys.api_key(key_id))

    def listed(self) -> dict[str, ApiKey | None]:
        """Every key by its id, those that were revoked last. None stands for a record that cannot be read."""
        found: dict[str, ApiKey | None] = {}
        for record_of, ids in ((keys.api_key, self.ids()), (keys.revoked_key, self.revoked_ids())):
            for key_id in sorted(ids):
                with suppress(NotFound):  # revoked meanwhile: it is in the second list
                    found[key_id] = self._read_unless_damaged(record_of(key_id))
        return found

    def revoke(self, key_id: str) -> ApiKey | None:
        """Refuse the key from now on; None if there is none. Revoking it again changes nothing.

        Raises ``Damaged`` if its record cannot be read, which ``remove`` takes away.
        """
        try:
            key = self.read(key_id).model_copy(update={"revoked_at": datetime.now(UTC)})
            self._write(keys.revoked_key(key_id), key)
        except (NotFound, AlreadyExists):
            try:
                key = self._read(keys.revoked_key(key_id))
            except NotFound:
                return None
        self._storage.delete(keys.api_key(key_id))  # only now: an interrupted call is repeated
        return key

    def remove(self, key_id: str) -> None:
        """Refuse the key from now on, and forget it, whatever its records hold."""
        self._storage.delete(keys.api_key(key_id))
        self._storage.delete(keys.revoked_key(key_id))

    def _ids(self, prefix: str) -> set[str]:
        return {key_id for blob in self._storage.list(prefix) if (key_id := keys.key_id_in(blob.key))}

    def _read_unless_damaged(self, storage_key: str) -> ApiKey | None:
        try:
            return self._read(storage_key)
        except Damaged:
            return None

    def _read(self, storage_key: str) -> ApiKey:
        try:
            key = ApiKey.model_validate_json(read_bytes(self._storage, storage_key))
        except ValidationError as error:
            raise Damaged(f"{storage_key} is not the record of an API key") from error
        if key.schema_version > SCHEMA_VERSION or key.key_id != keys.key_id_in(storage_key):
            raise Damaged(f"{storage_key} was written by a later version, or is the record of another key")
        return key

    def _write(self, storage_key: str, key: ApiKey) -> None:
        text = key.model_dump_json(indent=1) + "\n"
        put_bytes(self._storage, storage_key, text.encode(), content_type="application/json")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
