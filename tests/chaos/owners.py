"""The owners whose jobs a run submits: each has a key, limits, and sees nothing of the other."""

from dataclasses import dataclass

from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.backends.base import Storage
from clipzy_storage.models.access import Scope

NAMES = ("ada", "bob")
# Fewer than a run keeps unfinished, so that each limit is met now and then.
SETTINGS = {
    "CLIPZY_AUTH": "keys",
    "OWNER_MAX_UNFINISHED_JOBS": "4",
    "OWNER_MAX_RUNNING_JOBS": "2",
    "OWNER_MAX_UPLOADS": "3",
    "OWNER_MAX_STORED_MB": "100000",  # never met: nothing is deleted, so that it would stop the run
}


@dataclass(frozen=True)
class Owner:
    """One owner, and the headers of its calls."""

    name: str
    headers: dict[str, str]


def with_keys(storage: Storage) -> list[Owner]:
    """All owners, each with a new key."""
    made = ((name, ApiKeys(storage).create("chaos", owner=name, scopes=Scope, expires_at=None)[1]) for name in NAMES)
    return [Owner(name, {"Authorization": f"Bearer {text}"}) for name, text in made]
