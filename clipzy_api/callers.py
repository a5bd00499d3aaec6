"""On whose behalf a request is made, and what it may do."""

import re
from dataclasses import dataclass

from clipzy_storage.models.access import ApiKey
from clipzy_storage.models.records import EVERYONE

METRICS = "/metrics"
"""What Prometheus reads, with a key that need allow nothing else."""
_LINKED = re.compile("/storage/.*|/api/v1/videos/[^/]+/file", re.DOTALL)
_OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/openapi.json", "/docs"})
_OPEN_PREFIXES = ("/docs/", "/page/")


def takes_signature(path: str) -> bool:
    """Whether at this address, or of this rule, is a file that the signature of a link opens instead of a key."""
    return _LINKED.fullmatch(path) is not None


def is_open(path: str) -> bool:
    """Whether this address shows nothing that belongs to anybody, and needs no key."""
    return path in _OPEN_PATHS or path.startswith(_OPEN_PREFIXES)


@dataclass(frozen=True)
class Caller:
    """Who sent a request. ``owner`` is None where the request may see nothing that belongs to anybody."""

    owner: str | None
    key: ApiKey | None = None
    """The API key that was sent, if one is needed."""

    @classmethod
    def with_key(cls, key: ApiKey) -> "Caller":
        return cls(key.owner, key)


ANYONE = Caller(EVERYONE)
"""Where no keys are asked for."""
UNKNOWN = Caller(None)
"""Where keys are asked for, but not for this address: a signed link, or a page that shows nothing of anybody."""
