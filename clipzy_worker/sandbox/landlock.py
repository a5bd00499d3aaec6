"""Landlock: restricts for good which files this process may open.

Linux 5.13 and newer; see ``landlock(7)``. Called by system call number, since the C library has no functions for it.
"""

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

# System call numbers, the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULESET_VERSION_FLAG = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REGULAR = 1 << 7, 1 << 8
_TRUNCATE = 1 << 14
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_READ = _READ_FILE | _READ_DIR
# No links, pipes, sockets or devices: the parent reads later what is created there.
_WRITE = _READ | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REGULAR

_CONNECT_AND_BIND = 0b11
_SIGNALS_AND_ABSTRACT_SOCKETS = 0b11
_NETWORK_SINCE_VERSION, _SCOPES_SINCE_VERSION = 4, 6
# How many rights over files each version knows, and so can take away; later ones know no fewer.
_FILE_RIGHTS_OF_VERSION = {1: 13, 2: 14, 3: 15, 4: 15}
_FILE_RIGHTS_SINCE_VERSION_5 = 16


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def version() -> int:
    """The kernel's Landlock version. Raises ``OSError`` if it has no Landlock."""
    return _system_call(_CREATE_RULESET, None, 0, _RULESET_VERSION_FLAG)


def restrict(*, readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """Allow this process to open only these paths and what is below them.

    Where the kernel can, it may also use no TCP port and signal only processes under the same rules. Open files stay
    open. Needs ``no_new_privs``, and holds for threads that are started later. Paths that do not exist are left out.

    Raises:
        OSError: the kernel refuses; nothing has changed.
    """
    abi = version()
    ruleset = _Ruleset(
        files=(1 << _FILE_RIGHTS_OF_VERSION.get(abi, _FILE_RIGHTS_SINCE_VERSION_5)) - 1,
        network=_CONNECT_AND_BIND if abi >= _NETWORK_SINCE_VERSION else 0,
        scopes=_SIGNALS_AND_ABSTRACT_SOCKETS if abi >= _SCOPES_SINCE_VERSION else 0,
    )
    rules = _system_call(_CREATE_RULESET, ctypes.byref(ruleset), _size(abi), 0)
    try:
        for path in readable:
            _allow(rules, path, _READ & ruleset.files)
        for path in writable:
            _allow(rules, path, _WRITE & ruleset.files)
        _system_call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _size(abi: int) -> int:
    """Size of the ruleset that this version knows: it refuses a longer one."""
    if abi >= _SCOPES_SINCE_VERSION:
        return _Ruleset.scopes.offset + _Ruleset.scopes.size
    return _Ruleset.scopes.offset if abi >= _NETWORK_SINCE_VERSION else _Ruleset.network.offset


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rule = _PathBeneath(rights if path.is_dir() else rights & _FILE_RIGHTS, descriptor)
        _system_call(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)


def _system_call(number: int, *arguments: object) -> int:
    if sys.platform != "linux":
        raise OSError("Landlock needs Linux")
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *words))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
