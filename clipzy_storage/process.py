"""The identity of a process, safe against reused process ids, and the parent-death signal of child processes.

Run as ``python -m clipzy_storage.process PARENT_PID COMMAND…`` it becomes that command: on Linux the kernel sends it
SIGTERM as soon as its parent is gone, however that ended. Imports nothing heavy, so that this costs little.
"""

import ctypes
import json
import os
import signal
import socket
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ProcessIdentity:
    """One process of one boot of one machine. Fields that the system does not provide are empty."""

    host: str
    pid: int
    boot_id: str
    pid_namespace: str
    start_ticks: str

    @classmethod
    def own(cls) -> "ProcessIdentity":
        """That of the calling process, also in a forked one."""
        return _identity_of(os.getpid())

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Raises ``ValueError`` if a field is missing or not of its type; other entries are ignored."""
        known = {name: values.get(name) for name in cls.__dataclass_fields__}
        if not all(type(value) is (int if name == "pid" else str) for name, value in known.items()):
            raise ValueError("this does not identify a process")
        return cls(**known)  # type: ignore[arg-type]  # checked above

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Raises ``ValueError`` if the text is not the JSON of an identity."""
        values = json.loads(text)
        return cls.from_dict(values if isinstance(values, dict) else {})

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, for ``from_dict``."""
        return asdict(self)

    def to_json(self) -> str:
        """The fields as a JSON object, for ``from_json``."""
        return json.dumps(self.as_dict())

    def is_gone(self) -> bool:
        """True only if the process is seen to have ended; false if it runs or if that is unknown."""
        return self._is_visible() and _start_ticks(self.pid) != self.start_ticks

    def is_running(self) -> bool:
        """True only if the process is seen to run."""
        return self._is_visible() and _start_ticks(self.pid) == self.start_ticks

    def _is_visible(self) -> bool:
        if not (self.boot_id and self.start_ticks and self.host == socket.gethostname()):
            return False
        # After a reboot of this machine the namespace number means nothing, but everything of the old boot is gone;
        # another boot id may as well be another machine of the same name, so it proves nothing.
        return self.boot_id == _boot_id() and self.pid_namespace == _pid_namespace()


@cache
def _identity_of(pid: int) -> ProcessIdentity:
    return ProcessIdentity(socket.gethostname(), pid, _boot_id(), _pid_namespace(), _start_ticks(pid))


def die_with_parent(parent_pid: int, *, with_signal: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send this process ``with_signal`` when its parent ends; does nothing on systems but Linux.

    ``parent_pid`` is the parent's own process id: if that parent ended before this call, the signal is sent right away.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), with_signal)


def with_parent_death_signal(*command: str) -> list[str]:
    """The command line that runs ``command`` as a child of this process and ends it when this process ends."""
    return [sys.executable, "-P", "-m", "clipzy_storage.process", str(os.getpid()), *command]


def _boot_id() -> str:
    return _read("/proc/sys/kernel/random/boot_id")


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _start_ticks(pid: int) -> str:
    """Start time of a process in clock ticks since boot; empty if it is gone or a zombie."""
    stat = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()  # the name before it may contain anything
    return stat[19] if stat and stat[0] not in ("Z", "X") else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]), with_signal=signal.SIGTERM)
    os.execvp(sys.argv[2], sys.argv[2:])
