"""The processes of a deployment, each behind proxies of its own, and the thread that starts again what ends."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from clipzy_storage.process import with_parent_death_signal
from tests.chaos.history import History
from tests.support.deployment import CLIPZY, descendants
from tests.support.tcp_proxy import TcpProxy

REFUSED = 78
PAUSE_SECONDS = 0.3  # before a process that ended is started again
STOP_SECONDS = 30.0


class Node:
    """One `clipzy web` or `clipzy worker`, which reaches Redis and the store through proxies that are its own."""

    def __init__(
        self, name: str, command: Sequence[str], *, folder: Path, settings: dict[str, str], proxies: dict[str, TcpProxy]
    ) -> None:
        self.name, self.proxies = name, proxies
        self.log = folder / f"{name}.log"
        self.scratch = Path(settings["CLIPZY_DATA_DIR"]) / "work"
        self._command, self._folder = command, folder
        self._env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
        self._env |= settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def role(self) -> str:
        return self._command[0]

    def start(self) -> None:
        """To be called by a thread that lives as long as the process, since that thread holds its leash."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                with_parent_death_signal(*CLIPZY, *self._command),
                cwd=self._folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def status(self) -> int | None:
        """How it ended; ``None`` while it runs."""
        return self._process.poll() if self._process else None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def below(self) -> list[int]:
        """The processes that it has started, nearest first."""
        return descendants(self.pid) if self.status() is None else []

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)  # which knows whether it still is that process

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Another command with the same settings."""
        command = [*CLIPZY, *arguments]
        return subprocess.run(
            command, cwd=self._folder, env=self._env, capture_output=True, text=True, timeout=300, check=False
        )


class Supervisor(threading.Thread):
    """Starts the nodes and holds their leashes: whichever ends is started again until all are stopped."""

    def __init__(self, nodes: Sequence[Node], history: History, *, folder: Path) -> None:
        """``folder`` is where all of them work, and nobody else."""
        super().__init__(name="supervisor", daemon=True)
        self._nodes, self._history, self._folder = nodes, history, folder
        self._stopping = threading.Event()
        self._refused: set[Node] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        for node in self._nodes:
            node.start()
        due: dict[Node, float] = {}
        while not self._stopping.wait(0.05):
            for node in self._nodes:
                self._tend(node, due)
        self._stop_all()

    def _tend(self, node: Node, due: dict[Node, float]) -> None:
        status = node.status()
        if status is None or node in self._refused:
            return
        if node not in due:
            due[node] = time.monotonic() + PAUSE_SECONDS
            self._history.add("ended", node=node.name, status=status)
            if status == REFUSED:
                self._refused.add(node)
        elif time.monotonic() >= due[node]:
            del due[node]
            node.start()

    def _stop_all(self) -> None:
        for node in self._nodes:
            node.send(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(node.status() is None for node in self._nodes) and time.monotonic() < deadline:
            time.sleep(0.05)
        for node in self._nodes:
            if node.status() is None:
                self._history.add("unexpected", node=node.name, found=f"not ended {STOP_SECONDS:g} s after SIGTERM")
                node.send(signal.SIGKILL)
        self._end_what_is_left()

    def _end_what_is_left(self) -> None:
        """What outlives the process that started it is a finding. It gets a second, since the kernel ends it."""
        deadline = time.monotonic() + 1
        while running_in(self._folder) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid, command in running_in(self._folder).items():
            self._history.add("unexpected", found=f"still running though its parent is gone: {command}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def running_in(folder: Path) -> dict[int, str]:
    """Every process that works in the folder or below it, with its command."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


class Frozen:
    """Processes stopped until ``thaw``; addressed in a way that cannot hit another one that has got a number again."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._handles: list[int] = []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                self._handles.append(os.pidfd_open(pid))
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)
        while self._handles:
            os.close(self._handles.pop())

    def _send(self, number: signal.Signals) -> None:
        for handle in self._handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
