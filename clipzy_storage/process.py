"""Who a process is, in a way that survives reused process ids, and how a child dies with its parent.

Run as ``python -m clipzy_storage.process COMMAND…`` it becomes that command, on a leash: where the kernel can
(Linux), the command gets SIGTERM as soon as the process that started it is gone, however it went.
"""

import ctypes
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
    """One process of one boot of one machine. Fields that the system does not tell are empty."""

    host: str
    pid: int
    boot_id: str
    pid_namespace: str
    start_ticks: str

    @classmethod
    def own(cls) -> "ProcessIdentity":
        return _identity_of(os.getpid())

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Raises ``KeyError`` where a field is missing."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def is_gone(self) -> bool:
        """True only where it can be seen that the process no longer runs; false where it runs or nobody can tell."""
        return self._is_visible() and _start_ticks(self.pid) != self.start_ticks

    def is_running(self) -> bool:
        """True only where the process can be seen to be there."""
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
    """Have the kernel send this process ``with_signal`` when its parent ends; does nothing where that is not Linux.

    ``parent_pid`` is what the parent believes to be, so that one which died before this call is noticed.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), with_signal)


def with_parent_death_signal(*command: str) -> list[str]:
    """The command line that runs ``command`` on a leash held by this process."""
    return [sys.executable, "-m", "clipzy_storage.process", str(os.getpid()), *command]


def _boot_id() -> str:
    return _read("/proc/sys/kernel/random/boot_id")


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _start_ticks(pid: int) -> str:
    """Start time of a process in clock ticks since boot; empty when it is gone or a zombie."""
    stat = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()  # the name before it may hold anything
    return stat[19] if stat and stat[0] not in ("Z", "X") else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]), with_signal=signal.SIGTERM)
    os.execvp(sys.argv[2], sys.argv[2:])
