"""The processes of a deployment, each behind proxies for it alone, and the thread that restarts what exits."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.chaos.history import History
from tests.support.processes import CLIPZY, Process, clipzy, descendants, environment, running_in
from tests.support.tcp_proxy import TcpProxy

REFUSED = 78
PAUSE_SECONDS = 0.3  # before a process that exited is restarted
STOP_SECONDS = 30.0


class Node:
    """One `clipzy web` or `clipzy worker`, which reaches Redis and S3 through proxies for it alone."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        directory: Path,
        settings: dict[str, str],
        proxies: dict[str, TcpProxy],
    ) -> None:
        self.name, self.proxies = name, proxies
        self.log = directory / f"{name}.log"
        self.scratch = Path(settings["CLIPZY_DATA_DIR"]) / "work"
        self._command, self._directory, self._settings = command, directory, settings
        self._process: Process | None = None

    @property
    def role(self) -> str:
        return self._command[0]

    def start(self) -> None:
        """Start it, or restart it. The thread that calls this must live as long as the process."""
        command, env = [*CLIPZY, *self._command], environment(**self._settings)
        self._process = Process(command, cwd=self._directory, env=env, log=self.log)

    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.exit_status() if self._process else None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def below(self) -> list[int]:
        """The processes that it has started, nearest first."""
        return descendants(self.pid) if self.status() is None else []

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send(number)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run another command with the same settings to its exit."""
        return clipzy(*arguments, cwd=self._directory, **self._settings)


class Supervisor(threading.Thread):
    """Starts the nodes, and restarts whichever exits until all are stopped. The kernel ends them with this thread."""

    def __init__(self, nodes: Sequence[Node], history: History, *, directory: Path) -> None:
        """``directory`` is the working directory of all of them, and of no other process."""
        super().__init__(name="supervisor", daemon=True)
        self._nodes, self._history, self._directory = nodes, history, directory
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
            self._history.add("exited", node=node.name, status=status)
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
                self._history.add("unexpected", node=node.name, found=f"not exited {STOP_SECONDS:g} s after SIGTERM")
                node.send(signal.SIGKILL)
        self._end_what_is_left()

    def _end_what_is_left(self) -> None:
        """A process that outlives its parent is a finding. It has a second, since the kernel ends it."""
        deadline = time.monotonic() + 1
        while running_in(self._directory) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid, command in running_in(self._directory).items():
            self._history.add("unexpected", found=f"still running though its parent is gone: {command}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
