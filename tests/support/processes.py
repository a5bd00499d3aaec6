"""Child processes of tests: started, observed, signalled and stopped in one way."""

import contextlib
import itertools
import os
import random
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from clipzy_storage.process import with_parent_death_signal
from tests.support.log_lines import events_in
from tests.support.waiting import TIMEOUT_SECONDS, eventually

CLIPZY = (sys.executable, "-m", "clipzy_api.cli")
_hosts = itertools.count()
_AS_INSTALLED = str(Path(__file__).with_name("as_installed"))
_BELOW_EPHEMERAL_PORTS = range(16384, 32768)
"""The kernel chooses higher ones, for clients and for servers that ask for any port."""
_reservations: list[socket.socket] = []


class Process:
    """A running command. Its output is appended to the file ``log``; the kernel ends it with the thread that starts it.

    It gets ``env`` and nothing else of the environment.
    """

    def __init__(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                with_parent_death_signal(*command),
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def is_running(self) -> bool:
        return self.exit_status() is None

    def exit_status(self) -> int | None:
        """Negative for a signal; None while it runs."""
        return self._popen.poll()

    def output(self) -> str:
        return self.log.read_text()

    def wait_for_log(self, text: str, *, seconds: float = TIMEOUT_SECONDS) -> Self:
        """Wait until its output contains ``text``; fails if it exits before."""
        eventually(lambda: text in self.output() or not self.is_running(), f"{text!r} in {self.log}", seconds=seconds)
        assert text in self.output(), self.output()
        return self

    def wait_for_event(self, event: str, *, seconds: float = TIMEOUT_SECONDS, **fields: object) -> Self:
        """Wait until it has logged the event with these fields; fails if it exits before."""
        what = f"{event} with {fields} in {self.log}"
        eventually(lambda: events_in(self.output(), event, **fields) or not self.is_running(), what, seconds=seconds)
        assert events_in(self.output(), event, **fields), self.output()
        return self

    def wait(self, timeout_seconds: float = TIMEOUT_SECONDS) -> int:
        """Its exit status, once it has exited by itself."""
        return self._popen.wait(timeout_seconds)

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)  # does nothing if it has exited

    def stop(self) -> int:
        """SIGTERM; returns its exit status. One that does not exit is killed, and the test fails."""
        self.send(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL to the process alone, as an out-of-memory killer would."""
        self.send(signal.SIGKILL)
        self._popen.wait()


def environment(**settings: str) -> dict[str, str]:
    """The environment of a process under test: the least that it needs, and ``settings``."""
    return {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", "PYTHONPATH": _AS_INSTALLED, **settings}


def clipzy(*arguments: str, cwd: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run one `clipzy` command to its exit with only ``settings`` set."""
    return subprocess.run(
        [*CLIPZY, *arguments],
        cwd=cwd,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


def free_port() -> int:
    """A port that no client is given, nor any other test as long as this process lives.

    One that the kernel chooses may be chosen again before anything listens on it, so that a test talks to the server of
    another.
    """
    for port in random.sample(_BELOW_EPHEMERAL_PORTS, len(_BELOW_EPHEMERAL_PORTS)):
        reservation = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            reservation.bind(f"\0clipzy-port-{port}")  # the name of an abstract socket is free again once we exit
            _reservations.append(reservation)
            return port
        reservation.close()
    raise OSError("no port is free")


def own_host() -> str:
    """A loopback address that nothing else uses: no client connects from it, so its ports stay free."""
    pid, number = os.getpid(), next(_hosts)
    return f"127.{64 + pid % 128}.{pid // 128 % 256}.{number % 254 + 1}"


class Watched:
    """Any process of this machine, watched from now on so that its exit cannot be missed."""

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)

    def has_exited(self) -> bool:
        """Wait for its exit; false after a timeout."""
        try:
            return bool(select.select([self._descriptor], [], [], TIMEOUT_SECONDS)[0])
        finally:
            os.close(self._descriptor)


class Frozen:
    """Processes stopped until ``thaw``; addressed by descriptor, since a process id may be reused meanwhile."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._descriptors: list[int] = []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                self._descriptors.append(os.pidfd_open(pid))
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _send(self, number: signal.Signals) -> None:
        for descriptor in self._descriptors:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)


def descendants(pid: int) -> list[int]:
    """All processes below ``pid``, nearest first, by the kernel's own table."""
    children = [int(child) for task in _children_of_threads(pid) for child in task.split()]
    return children + [below for child in children for below in descendants(child)]


def commands_below(pid: int) -> dict[int, str]:
    return {child: command for child in descendants(pid) if (command := command_of(child))}


def media_processes_below(pid: int) -> list[int]:
    """The processes that decode."""
    return [child for child, command in commands_below(pid).items() if "-m clipzy_worker.analysis" in command]


def media_process_below(pid: int) -> int:
    """One process that decodes, once there is one."""
    return eventually(lambda: next(iter(media_processes_below(pid)), 0), "a media process")


def hold_media_process(pid: int) -> int:
    """Stop the process that decodes below ``pid``, once there is one, so that its job lasts; it can still be killed.

    Not before it is confined: only then does it exit with its parent.
    """
    media = media_process_below(pid)
    eventually(lambda: "NoNewPrivs:\t1" in Path(f"/proc/{media}/status").read_text(), "a confined media process")
    os.kill(media, signal.SIGSTOP)
    return media


def command_of(pid: int) -> str:
    """The command line, separated by spaces; empty if the process is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def running_in(directory: Path) -> dict[int, str]:
    """Every process whose working directory is this one or below it, with its command."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(directory):
                found[int(process.name)] = command_of(int(process.name))
    return found


def _children_of_threads(pid: int) -> Iterator[str]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            yield task.read_text()
