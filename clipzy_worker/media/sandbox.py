"""The walls around a media process, each put up where the system can: network, files, system calls.

Called in the process itself while it is still alone, before it loads a media library or opens the footage.
"""

import os
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

from clipzy_worker.media import landlock, namespaces, seccomp
from clipzy_worker.media.request import Sandbox

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
