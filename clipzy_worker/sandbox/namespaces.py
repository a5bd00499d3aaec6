"""Moves this process into an empty network namespace and drops root's capabilities."""

import ctypes
import errno
import os
import sys
from pathlib import Path

_NEW_IPC, _NEW_USER, _NEW_NETWORK = 0x08000000, 0x10000000, 0x40000000
_CAPABILITIES_VERSION_3 = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH, _SYS_ADMIN = 1, 2, 21


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def leave_network() -> bool:
    """Move into a network namespace without addresses. Must be called while this process has one thread.

    Returns whether that took a user namespace as well, in which limits count this process alone.

    Raises:
        OSError: this user may not, which is usual in containers.
    """
    if sys.platform != "linux":
        raise OSError("namespaces need Linux")
    # Root keeps its user: in another user namespace it could no longer read files of other users.
    needs_user = not _is_administrator() or not _unshare(_NEW_NETWORK | _NEW_IPC)
    if needs_user and not _unshare(_NEW_USER | _NEW_NETWORK | _NEW_IPC):
        reason = ctypes.get_errno()
        # ENOSPC is the limit on namespaces here; its text is about a full disk.
        raise OSError(reason, "no namespaces are left" if reason == errno.ENOSPC else os.strerror(reason))
    return needs_user


def drop_capabilities() -> None:
    """Keep only the two by which root opens any file: Landlock restricts those. Raises ``OSError``."""
    kept = _own_capabilities() & (1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH)
    header = _Header(_CAPABILITIES_VERSION_3, 0)
    words = (_Capabilities * 2)(_Capabilities(kept, kept, 0), _Capabilities(0, 0, 0))
    if _libc().capset(ctypes.byref(header), words) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _is_administrator() -> bool:
    return bool(_own_capabilities() >> _SYS_ADMIN & 1)


def _own_capabilities() -> int:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.partition("CapEff:")[2].split()[0], 16)


def _unshare(what: int) -> bool:
    return int(_libc().unshare(ctypes.c_int(what))) == 0


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
