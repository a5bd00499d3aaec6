"""Landlock: which files this process may still open, after which the rest of the disk is closed to it for good.

Linux 5.13 and newer; see ``landlock(7)``. Asked for by number, since the C library has no functions for it.
"""

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_GIVE_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REGULAR = 1 << 7, 1 << 8
_TRUNCATE = 1 << 14
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_READ = _READ_FILE | _READ_DIR
# No links, pipes, sockets or devices: what is made there is read by others later.
_WORK = _READ | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REGULAR

_CONNECT_AND_BIND = 0b11
_SIGNALS_AND_ABSTRACT_SOCKETS = 0b11
_FIRST_WITH_NETWORK, _FIRST_WITH_SCOPES = 4, 6
# How many rights over files each version knows, and so can take away; later ones know no fewer.
_KNOWN_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_FILE_RIGHTS_SINCE_5 = 16


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version() -> int:
    """The version of Landlock that this kernel speaks. Raises ``OSError`` where it speaks none."""
    return _call(_CREATE_RULESET, None, 0, _GIVE_VERSION)


def enclose(*, readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """From now on open only what lies in these, no network address, and signal only what lives under these rules too.

    What is already open stays so. Needs ``no_new_privs``, and holds for threads that are started later. A path that is
    not there is left out.

    Raises:
        OSError: the kernel refuses; nothing has changed.
    """
    abi = version()
    ruleset = _Ruleset(
        files=(1 << _KNOWN_FILE_RIGHTS.get(abi, _FILE_RIGHTS_SINCE_5)) - 1,
        network=_CONNECT_AND_BIND if abi >= _FIRST_WITH_NETWORK else 0,
        scopes=_SIGNALS_AND_ABSTRACT_SOCKETS if abi >= _FIRST_WITH_SCOPES else 0,
    )
    rules = _call(_CREATE_RULESET, ctypes.byref(ruleset), _size(abi), 0)
    try:
        for path in readable:
            _allow(rules, path, _READ & ruleset.files)
        for path in writable:
            _allow(rules, path, _WORK & ruleset.files)
        _call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _size(abi: int) -> int:
    """Of the ruleset as this version knows it: it refuses what is longer."""
    if abi >= _FIRST_WITH_SCOPES:
        return _Ruleset.scopes.offset + _Ruleset.scopes.size
    return _Ruleset.scopes.offset if abi >= _FIRST_WITH_NETWORK else _Ruleset.network.offset


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rule = _PathBeneath(rights if path.is_dir() else rights & _FILE_RIGHTS, place)
        _call(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(place)


def _call(number: int, *arguments: object) -> int:
    if sys.platform != "linux":
        raise OSError("Landlock is of Linux")
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    answer = int(libc.syscall(ctypes.c_long(number), *words))
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer
