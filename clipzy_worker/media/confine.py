"""What a media process gives up before it looks at a byte of footage. None of it can be taken back."""

import ctypes
import os
import resource
import sys

from clipzy_storage.process import die_with_parent
from clipzy_worker.media.request import MediaLimits

_PR_SET_NO_NEW_PRIVS = 38
_GRACE_CPU_SECONDS = 5
_OPEN_FILES = 64


def confine(*, limits: MediaLimits) -> None:
    """Limit this process for good. Raises ``OSError`` where the system refuses."""
    os.umask(0o077)
    _forbid_new_privileges()
    # The soft CPU limit ends the process by a signal that the parent can name; the hard one cannot be caught.
    _limit(resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + _GRACE_CPU_SECONDS)
    _limit(resource.RLIMIT_FSIZE, limits.output_bytes)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, limits.memory_bytes)


def follow_parent(parent_pid: int) -> None:
    """Die with the process that started this one, at once and however it went."""
    die_with_parent(parent_pid)


def _forbid_new_privileges() -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")


def _limit(what: int, soft: int, hard: int | None = None) -> None:
    """Never above what the process was given; on macOS some limits cannot be set and are left as they are."""
    _old_soft, old_hard = resource.getrlimit(what)
    hard = soft if hard is None else hard
    if old_hard != resource.RLIM_INFINITY:
        hard = min(hard, old_hard)
    try:
        resource.setrlimit(what, (min(soft, hard), hard))
    except (ValueError, OSError):
        if sys.platform == "linux":
            raise
