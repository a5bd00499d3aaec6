"""Keeps child processes running, and stops them without leaving any process behind."""

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

import structlog

from clipzy_storage.errors import ConfigurationError
from clipzy_storage.log_events import SUPERVISOR_RESTARTING
from clipzy_storage.process import with_parent_death_signal
from clipzy_storage.standard_streams import stop_signals

MIN_RESTART_DELAY_SECONDS = 0.2
MAX_RESTART_DELAY_SECONDS = 10.0
# A child that ran for so long is restarted after the minimum again.
STABLE_AFTER_SECONDS = 30.0
POLL_SECONDS = 0.2
STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})

log = structlog.stdlib.get_logger(__name__)


class Signals:
    """Inside ``with``, signals that ask this process to stop are queued, and the exit of a child wakes ``wait``."""

    def __enter__(self) -> Self:
        caught = (*stop_signals(), signal.SIGCHLD)
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._previous_wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._previous_handlers = {number: signal.signal(number, _wake) for number in caught}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_wakeup)
        self._reader.close()
        self._writer.close()

    def wait(self, timeout_seconds: float | None) -> bool:
        """Wait for a signal, at most ``timeout_seconds``; whether one arrived that asks this process to stop."""
        if not select.select([self._reader], [], [], timeout_seconds)[0]:
            return False
        return not STOP_SIGNALS.isdisjoint(self._reader.recv(4096))


class Child:
    """A process with a parent-death signal and a session of its own, which can be started again after it exited.

    ``output`` is a file that standard output and error are appended to; without it they are inherited. ``on_start`` is
    called with the process id at every start.
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

    def start(self) -> int:
        """Start it and return its process id.

        Call this from the main thread: the kernel sends the parent-death signal when the starting thread ends.
        """
        with contextlib.ExitStack() as stack:
            output: Any = stack.enter_context(self._output.open("ab")) if self._output else None
            self._process = process = subprocess.Popen(
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
            self._on_start(process.pid)
        return process.pid

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def seconds_since_start(self) -> float:
        return time.monotonic() - self._started_at

    def is_running(self) -> bool:
        return self._process is not None and self.exit_status() is None

    def exit_status(self) -> int | None:
        """The exit status of the last run, negative for a signal; None while it runs.

        No process of its group outlives it.
        """
        process = self._process
        if process is None:
            return None
        if process.returncode is None and process.poll() is not None:
            _kill_group(process)
        return process.returncode

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for its exit, at most ``timeout_seconds``; whether it has exited."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_seconds)
                _kill_group(self._process)
        return not self.is_running()

    def terminate(self) -> None:
        """Send SIGTERM to the process alone, which stops what it started itself."""
        if self._process is not None and self.is_running():
            self._process.terminate()

    def kill(self) -> None:
        """Kill it and its whole process group."""
        if self._process is not None and self.is_running():
            _kill_group(self._process)
            self._process.wait()

    def stop(self, *, grace_seconds: float) -> None:
        """Terminate it, and kill it if it still runs after the grace period."""
        self.terminate()
        if not self.wait(grace_seconds):
            self.kill()


class Supervisor:
    """Restarts children that exit by themselves, with exponential back-off, and logs it."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._children: list[Child] = []
        self._delays_seconds: dict[Child, float] = {}
        self._restart_at: dict[Child, float] = {}

    def watch(self, child: Child) -> None:
        """Supervise a child that has been started."""
        self._children.append(child)

    def run(self, *, until: Callable[[], bool] | None = None) -> int | None:
        """Supervise until a signal asks to stop (0), a child reports a wrong setting (78) or ``until`` holds (None)."""
        while True:
            if until is not None and until():
                return None
            if self._signals.wait(self._pause_seconds(polling=until is not None)):
                return 0
            for child in self._children:
                if self._restart_if_exited(child) == ConfigurationError.EXIT_STATUS:
                    return ConfigurationError.EXIT_STATUS

    def stop(self, children: Sequence[Child], *, grace_seconds: float) -> None:
        """Terminate and wait for all; kill those left after the grace period, or at the next signal to stop."""
        for child in children:
            child.terminate()
        deadline = time.monotonic() + grace_seconds
        while any(child.is_running() for child in children):
            remaining_seconds = deadline - time.monotonic()
            if remaining_seconds <= 0 or self._signals.wait(remaining_seconds):
                for child in children:
                    child.kill()

    def drain(self, children: Sequence[Child]) -> None:
        """Terminate and wait for all, without a time limit, until the next signal to stop."""
        for child in children:
            child.terminate()
        while any(child.is_running() for child in children):
            if self._signals.wait(None):
                return

    def _restart_if_exited(self, child: Child) -> int | None:
        """Restart the child when that is due, or schedule it if it has exited; the exit status if it just did."""
        if child in self._restart_at:
            if time.monotonic() >= self._restart_at[child]:
                self._restart(child)
            return None
        status = child.exit_status()
        if status is not None and status != ConfigurationError.EXIT_STATUS:
            self._schedule(child, ended_with=described(status), ran_seconds=child.seconds_since_start)
        return status

    def _restart(self, child: Child) -> None:
        del self._restart_at[child]
        try:
            child.start()
        except OSError as error:  # the system has no memory or process left for it now
            self._schedule(child, ended_with=f"no start: {error.strerror}", ran_seconds=0)

    def _schedule(self, child: Child, *, ended_with: str, ran_seconds: float) -> None:
        delay_seconds = next_delay(self._delays_seconds.get(child), ran_seconds=ran_seconds)
        self._delays_seconds[child] = delay_seconds
        self._restart_at[child] = time.monotonic() + delay_seconds
        log.warning(SUPERVISOR_RESTARTING, child=child.name, ended_with=ended_with, delay_seconds=delay_seconds)

    def _pause_seconds(self, *, polling: bool) -> float | None:
        pauses = [max(0.0, due - time.monotonic()) for due in self._restart_at.values()]
        return min([*pauses, POLL_SECONDS] if polling else pauses, default=None)


def next_delay(previous_seconds: float | None, *, ran_seconds: float) -> float:
    """Seconds to wait before the next start: doubled each time, until the child runs stably."""
    if previous_seconds is None or ran_seconds >= STABLE_AFTER_SECONDS:
        return MIN_RESTART_DELAY_SECONDS
    return min(previous_seconds * 2, MAX_RESTART_DELAY_SECONDS)


def described(status: int) -> str:
    """An exit status in words."""
    return f"status {status}" if status >= 0 else signal.Signals(-status).name


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    # macOS reports "not permitted" for a group of zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _wake(_number: int, _frame: FrameType | None) -> None:
    """Does nothing: with a handler in place, Python writes the signal to the wakeup socket."""
