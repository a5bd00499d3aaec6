"""How many connections the front end holds, and the descriptors that it needs for them."""

import resource
from contextlib import suppress
from typing import NamedTuple, Self

import structlog

KEPT_CONNECTIONS = 2500
ARRIVING_CONNECTIONS = 1500
"""Room for those that arrive before others are closed for them. Without it new clients would not be accepted."""
OTHER_DESCRIPTORS = 500
"""Files, Redis, the S3 service."""

log = structlog.stdlib.get_logger(__name__)


class ConnectionLimits(NamedTuple):
    """``kept`` connections are held for longer than a moment, ``accepted`` at any time."""

    kept: int
    accepted: int

    @classmethod
    def within(cls, descriptors: int) -> Self:
        """The limits of a process with so many descriptors; smaller than they should be if those are few."""
        accepted = min(KEPT_CONNECTIONS + ARRIVING_CONNECTIONS, max(2, descriptors - OTHER_DESCRIPTORS))
        return cls(accepted * KEPT_CONNECTIONS // (KEPT_CONNECTIONS + ARRIVING_CONNECTIONS), accepted)


def current() -> ConnectionLimits:
    return ConnectionLimits.within(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def raise_descriptor_limit() -> None:
    """Let this process and its children open as many descriptors as the system allows them; warn if those are few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS allows less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    if (limits := ConnectionLimits.within(soft)).kept < KEPT_CONNECTIONS:
        needed = KEPT_CONNECTIONS + ARRIVING_CONNECTIONS + OTHER_DESCRIPTORS
        log.warning("web.few_descriptors", allowed=soft, needed=needed, kept_connections=limits.kept)
