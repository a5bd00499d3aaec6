"""The walls around a media process, each put up where the system can: network, files, system calls.

Called in the process itself while it is still alone, before it loads a media library or opens the footage.
"""

import contextlib
import ctypes
import os
import resource
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

from clipzy_storage.process import die_with_parent
from clipzy_worker.sandbox import landlock, namespaces, seccomp
from clipzy_worker.sandbox.request import MediaLimits, MediaRequest, Sandbox

NETWORK, FILES, CALLS = "network", "files", "system calls"
WALLS = (NETWORK, FILES, CALLS)

_LIBRARY_FOLDERS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store")
# What libraries ask of the machine: which others there are, how many cores, how much memory, where their stack ends.
_MACHINE = ("/etc/ld.so.cache", "/proc/cpuinfo", "/proc/meminfo", "/proc/self", "/sys/devices/system/cpu", "/dev/null")
_RANDOMNESS = ("/dev/urandom", "/dev/random")
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")
_OWN_PACKAGES = ("clipzy_worker", "clipzy_storage")


class SandboxRefused(Exception):
    """A wall that is required cannot be had. The text continues "The media process …"."""


def enclose(mode: Sandbox, *, source: Path, out_folder: Path) -> bool:
    """Put up all the walls that ``mode`` asks for. Returns whether this process is alone in a user namespace.

    Raises:
        SandboxRefused: ``mode`` is ``required``, and one cannot be had.
    """
    if mode == "off":
        return False
    namespaced: list[bool] = []
    for name, build in _walls([source], [out_folder], namespaced):
        try:
            build()
        except OSError as error:
            if mode == "required":
                raise SandboxRefused(f"could not be enclosed: {name}: {error.strerror or error}") from error
    return any(namespaced)


def missing() -> dict[str, str]:
    """The walls that cannot be had here, with the system's reason. To be asked in a process that does nothing else:
    it is enclosed for good, and may open nothing more."""
    found = {}
    for name, build in _walls([], [], []):
        try:
            build()
        except OSError as error:
            found[name] = str(error.strerror or error)
    return found


def _walls(
    source: Iterable[Path], out_folder: Iterable[Path], namespaced: list[bool]
) -> tuple[tuple[str, Callable[[], None]], ...]:
    def network() -> None:
        try:
            namespaced.append(namespaces.leave_network())
        finally:
            namespaces.drop_capabilities()

    def files() -> None:
        landlock.enclose(readable=[*readable(), *source], writable=out_folder)

    return (NETWORK, network), (FILES, files), (CALLS, seccomp.install)


def readable() -> list[Path]:
    """What the interpreter and its libraries are made of, and nothing of anybody's data.

    Not every folder of ``sys.path``: in a checkout one of them is the folder in which storage may lie.
    """
    code = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    code += [folder for folder in sys.path if Path(folder).name in _PACKAGE_FOLDERS]
    prefixes = [Path(prefix) / folder for prefix in (sys.prefix, sys.base_prefix) for folder in ("lib", "lib64")]
    packages = [Path(file).parent for name in _OWN_PACKAGES if (file := sys.modules[name].__file__)]
    told = [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if folder]
    return [*map(Path, (*code, *_LIBRARY_FOLDERS, *_MACHINE, *_RANDOMNESS, *told)), *prefixes, *packages]


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
    alone = enclose(request.sandbox, source=request.source, out_folder=request.out_folder)
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
