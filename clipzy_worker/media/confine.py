"""What a media process gives up before it looks at a byte of footage. None of it can be taken back."""

import contextlib
import ctypes
import os
import resource
import sys
from pathlib import Path

from clipzy_storage.process import die_with_parent
from clipzy_worker.media import sandbox
from clipzy_worker.media.request import MediaLimits, MediaRequest

_PR_SET_NO_NEW_PRIVS = 38
_GRACE_CPU_SECONDS = 5
_OPEN_FILES = 64
_FIRST_TO_BE_KILLED = "800"  # of 1000: where memory is short, this process goes before the worker and its neighbours


def confine(request: MediaRequest) -> None:
    """Limit this process for good; to be called while it has no threads.

    Raises:
        SandboxRefused: a wall is required that cannot be had.
        OSError: the system refuses a limit.
    """
    os.umask(0o077)
    forbid_new_privileges()
    _offer_to_the_killer()
    alone = sandbox.enclose(request.sandbox, source=request.source, out_folder=request.out_folder)
    _set_limits(request.limits, alone=alone)


def follow_parent(parent_pid: int) -> None:
    """Die with the process that started this one, at once and however it went."""
    die_with_parent(parent_pid)


def forbid_new_privileges() -> None:
    """No program that this process becomes may have more rights than it. Raises ``OSError``."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")


def _set_limits(limits: MediaLimits, *, alone: bool) -> None:
    # The soft CPU limit ends the process by a signal that the parent can name; the hard one cannot be caught.
    _limit(resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + _GRACE_CPU_SECONDS)
    _limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)
    if alone:  # elsewhere it counts all that this user runs on the machine, and would fail honest work
        _limit(resource.RLIMIT_NPROC, limits.threads)
    _limit(resource.RLIMIT_AS, limits.memory_bytes)


def _offer_to_the_killer() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_BE_KILLED)


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
