"""Confines a media process: sandbox layers around network, files and system calls, and limits on what it may use.

Called in the process itself while it has one thread, before it loads a media library or opens the video. What is
confined stays so: none of it can be taken back.
"""

import contextlib
import ctypes
import os
import resource
import sys
import sysconfig
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clipzy_worker.sandbox import landlock, namespaces, seccomp
from clipzy_worker.sandbox.request import MediaLimits, MediaRequest

Layer = Literal["network", "files", "system calls"]
LAYERS: tuple[Layer, ...] = ("network", "files", "system calls")

_LIBRARY_DIRS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store")
# What libraries read about the machine: other libraries, cores, memory, the limits of their stack.
_MACHINE = ("/etc/ld.so.cache", "/proc/cpuinfo", "/proc/meminfo", "/proc/self", "/sys/devices/system/cpu", "/dev/null")
_RANDOMNESS = ("/dev/urandom", "/dev/random")
_SITE_DIRS = ("site-packages", "dist-packages")
_OWN_PACKAGES = ("clipzy_worker", "clipzy_storage")

_PR_SET_NO_NEW_PRIVS = 38
_CPU_GRACE_SECONDS = 5
_MAX_OPEN_FILES = 64
# Of 1000: if memory is short, the kernel kills this process before the worker and its neighbours.
_OOM_SCORE_ADJUSTMENT = "800"


class SandboxUnavailable(Exception):
    """A required layer is unavailable. The text continues "The media process …"."""


def confine(request: MediaRequest, *, layers: Collection[Layer] = LAYERS) -> None:
    """Limit this process for good, with these layers as far as the request's sandbox mode asks for them.

    Must be called while this process has one thread.

    Raises:
        SandboxUnavailable: a layer is required and unavailable.
        OSError: the system refuses a limit.
    """
    os.umask(0o077)
    forbid_new_privileges()
    _prefer_for_oom_kill()
    sandbox = _Sandbox([request.source], [request.out_directory])
    if request.sandbox != "off":
        _apply(sandbox, layers, is_required=request.sandbox == "required")
    _set_limits(request.limits, has_user_namespace=sandbox.has_user_namespace)


def forbid_new_privileges() -> None:
    """No program that this process becomes may have more rights than it. Raises ``OSError``."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")


def unavailable_layers() -> dict[str, str]:
    """Each layer that is unavailable here, with the system's reason.

    Applies the others, so it must be the last call of a process: afterwards it can open no file.
    """
    found: dict[str, str] = {}
    for name, apply in _Sandbox().layers():
        try:
            apply()
        except OSError as error:
            found[name] = _reason(error)
    return found


def readable_paths() -> list[Path]:
    """The interpreter and its libraries, and no data.

    Not every entry of ``sys.path``: in a checkout one of them is the directory that may hold the storage.
    """
    code = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    code += [entry for entry in sys.path if Path(entry).name in _SITE_DIRS]
    prefixes = [Path(prefix) / name for prefix in (sys.prefix, sys.base_prefix) for name in ("lib", "lib64")]
    packages = [Path(file).parent for name in _OWN_PACKAGES if (file := sys.modules[name].__file__)]
    configured = [entry for entry in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if entry]
    return [*map(Path, (*code, *_LIBRARY_DIRS, *_MACHINE, *_RANDOMNESS, *configured)), *prefixes, *packages]


@dataclass
class _Sandbox:
    """The layers around this process, with the data that the process may still read and write."""

    readable: Iterable[Path] = ()
    writable: Iterable[Path] = ()
    has_user_namespace: bool = field(default=False, init=False)

    def layers(self) -> tuple[tuple[Layer, Callable[[], None]], ...]:
        """Each layer in its order, with the function that applies it or raises ``OSError``."""
        return ("network", self._leave_network), ("files", self._restrict_files), ("system calls", seccomp.install)

    def _leave_network(self) -> None:
        try:
            self.has_user_namespace = namespaces.leave_network()
        finally:
            namespaces.drop_capabilities()

    def _restrict_files(self) -> None:
        landlock.restrict(readable=[*readable_paths(), *self.readable], writable=self.writable)


def _apply(sandbox: _Sandbox, layers: Collection[Layer], *, is_required: bool) -> None:
    for name, apply in sandbox.layers():
        try:
            if name in layers:
                apply()
        except OSError as error:
            if is_required:
                raise SandboxUnavailable(f"could not be confined: {name}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return str(error.strerror or error)


def _prefer_for_oom_kill() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE_ADJUSTMENT)


def _set_limits(limits: MediaLimits, *, has_user_namespace: bool) -> None:
    # The soft CPU limit ends the process by a signal that the parent can name; the hard one cannot be caught.
    _limit(resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + _CPU_GRACE_SECONDS)
    _limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    _limit(resource.RLIMIT_NOFILE, _MAX_OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)
    if has_user_namespace:  # elsewhere it counts every process of this user on the machine and would fail honest work
        _limit(resource.RLIMIT_NPROC, limits.threads)
    _limit(resource.RLIMIT_AS, limits.memory_bytes)


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
