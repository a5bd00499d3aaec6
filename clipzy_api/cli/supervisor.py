"""Keeps child processes running, and ends them without leaving any behind."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self

from clipzy_storage.errors import ConfigurationError
from clipzy_storage.process import with_parent_death_signal

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 10.0
STEADY_LIFE_SECONDS = 30.0  # a child that lived so long begins again with the first delay
POLL_SECONDS = 0.2
STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


class Signals:
    """Inside ``with``, signals that would stop the process are queued as values, and a child's end wakes ``wait``."""

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._old_wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._old_handlers = {number: signal.signal(number, _ignored) for number in self._caught()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        self._reader.close()
        self._writer.close()

    def wait(self, timeout_seconds: float | None) -> bool:
        """Wait for a signal, at most so long; whether one of those that arrived asks the process to stop."""
        if not select.select([self._reader], [], [], timeout_seconds)[0]:
            return False
        return not STOP_SIGNALS.isdisjoint(self._reader.recv(4096))

    def _caught(self) -> set[signal.Signals]:
        # Under nohup a hang-up is ignored, and stays so.
        ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()
        return {*STOP_SIGNALS, signal.SIGCHLD} - ignored


class Child:
    """One process on a leash and in a session of its own, which may be started again after its end.

    ``output`` is a file that its standard output and error are appended to; without it they are inherited.
    ``on_start`` is told the process id at every start.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        output: Path | None = None,
        pass_fds: Sequence[int] = (),
        on_start: Callable[[int], None] | None = None,
    ) -> None:
        self.name = name
        self._command = command
        self._env = env
        self._output = output
        self._pass_fds = pass_fds
        self._on_start = on_start
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0

    def start(self) -> None:
        """Start it. To be called from the main thread, since the leash is held by the thread that starts."""
        with contextlib.ExitStack() as stack:
            output: Any = stack.enter_context(self._output.open("ab")) if self._output else None
            self._process = subprocess.Popen(
                with_parent_death_signal(*self._command),
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=self._pass_fds,
                start_new_session=True,
            )
        self._started_at = time.monotonic()
        if self._on_start:
            self._on_start(self._process.pid)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def lived_seconds(self) -> float:
        return time.monotonic() - self._started_at

    def is_running(self) -> bool:
        return self._process is not None and self.exit_status() is None

    def exit_status(self) -> int | None:
        """How its last run ended, negative for a signal; ``None`` while it runs. Nothing of its group outlives it."""
        if self._process is None or self._process.returncode is not None:
            return self._process.returncode if self._process else None
        status = self._process.poll()
        if status is not None:
            self._signal_group(signal.SIGKILL)
        return status

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for its end, at most so long; whether it has ended."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_seconds)
                self._signal_group(signal.SIGKILL)
        return not self.is_running()

    def terminate(self) -> None:
        """Ask it to end; what it started is its own business."""
        if self.is_running() and self._process:
            self._process.terminate()

    def kill(self) -> None:
        """End it and its whole group at once."""
        if self.is_running() and self._process:
            self._signal_group(signal.SIGKILL)
            self._process.wait()

    def stop(self, *, grace_seconds: float) -> None:
        """Ask it to end, and end it if it does not."""
        self.terminate()
        if not self.wait(grace_seconds):
            self.kill()

    def _signal_group(self, number: signal.Signals) -> None:
        # macOS answers "not permitted" for a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process:
                os.killpg(self._process.pid, number)


class Supervisor:
    """Starts again, with back-off, whatever ended without being asked to. ``report`` gets one line for each."""

    def __init__(self, signals: Signals, *, report: Callable[[str], None]) -> None:
        self._signals = signals
        self._report = report
        self._children: list[Child] = []
        self._delays_seconds: dict[Child, float] = {}
        self._due: dict[Child, float] = {}

    def watch(self, child: Child) -> None:
        """Look after a child that has been started."""
        self._children.append(child)

    def run(self, *, until: Callable[[], bool] | None = None) -> int | None:
        """Supervise until asked to stop (0), a child found the set-up wrong (78) or ``until`` holds (``None``)."""
        while True:
            if until is not None and until():
                return None
            if self._signals.wait(self._pause_seconds(polling=until is not None)):
                return 0
            for child in self._children:
                if self._tend(child) == ConfigurationError.EXIT_STATUS:
                    return ConfigurationError.EXIT_STATUS

    def stop(self, children: Sequence[Child], *, grace_seconds: float) -> None:
        """Ask all of them to end and wait; kill what is left after the grace, or at the next signal to stop."""
        for child in children:
            child.terminate()
        deadline = time.monotonic() + grace_seconds
        while any(child.is_running() for child in children):
            remaining_seconds = deadline - time.monotonic()
            if remaining_seconds <= 0 or self._signals.wait(remaining_seconds):
                for child in children:
                    child.kill()

    def drain(self, children: Sequence[Child]) -> None:
        """Ask all of them to end and wait however long that takes, but no longer than until the next signal to stop."""
        for child in children:
            child.terminate()
        while any(child.is_running() for child in children):
            if self._signals.wait(None):
                return

    def _tend(self, child: Child) -> int | None:
        """Start the child again when that is due, or plan it when it has ended; how it ended, if it just did."""
        if child in self._due:
            if time.monotonic() >= self._due[child]:
                del self._due[child]
                child.start()
            return None
        status = child.exit_status()
        if status is not None and status != ConfigurationError.EXIT_STATUS:
            delay_seconds = next_delay(self._delays_seconds.get(child), lived_seconds=child.lived_seconds)
            self._delays_seconds[child] = delay_seconds
            self._due[child] = time.monotonic() + delay_seconds
            self._report(f"{child.name} ended with {described(status)}; starting it again in {delay_seconds:g} s")
        return status

    def _pause_seconds(self, *, polling: bool) -> float | None:
        pauses = [max(0.0, due - time.monotonic()) for due in self._due.values()]
        return min([*pauses, POLL_SECONDS] if polling else pauses, default=None)


def next_delay(previous_seconds: float | None, *, lived_seconds: float) -> float:
    """Seconds to wait before the next start: doubled each time, until a child has lived long enough to be trusted."""
    if previous_seconds is None or lived_seconds >= STEADY_LIFE_SECONDS:
        return FIRST_DELAY_SECONDS
    return min(previous_seconds * 2, LONGEST_DELAY_SECONDS)


def described(status: int) -> str:
    """An exit status in words."""
    return f"status {status}" if status >= 0 else signal.Signals(-status).name


def _ignored(_number: int, _frame: FrameType | None) -> None:
    """Handles nothing: that there is a handler makes the signal reach the wakeup socket."""
