"""API keys as storage holds them: who a key belongs to and what it allows. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from clipzy_storage import keys
from clipzy_storage.models.records import SCHEMA_VERSION


class Scope(StrEnum):
    """What a key allows."""

    READ = "read"
    """Calls that change nothing."""
    WRITE = "write"
    """Calls that create, change or delete something."""
    METRICS = "metrics"
    """Reading `/metrics`."""
    ADMIN = "admin"
    """Seeing the jobs of all owners in the fleet."""


def _owner(text: str) -> str:
    if not keys.is_owner(text):
        raise ValueError("an owner has 1 to 64 of a-z, 0-9, - and _, and begins with a letter or digit")
    return text


Owner = Annotated[str, AfterValidator(_owner)]


class ApiKey(BaseModel):
    """One API key. The secret itself is known to its bearer alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = SCHEMA_VERSION
    """Of the record; a version that this Clipzy does not know is not read."""
    key_id: str
    """The part of the key that is no secret, see ``keys.new_key_id``."""
    name: str
    """What its operator called it."""
    owner: Owner
    """Whose videos and jobs the bearer sees and makes."""
    scopes: frozenset[Scope]
    """What the bearer may do."""
    secret_sha256: str = Field(repr=False)
    """Hex digest of the secret, which has 256 random bits: no slow hash is needed."""
    created_at: datetime
    """When the key was made."""
    expires_at: datetime | None = None
    """From when on the key is refused; None if it never expires."""
    revoked_at: datetime | None = None
    """When the key was revoked; None if it was not."""

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and now >= self.expires_at
