"""The supervisor around small stand-in children."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from clipzy_api.cli.supervisor import Child, Signals, Supervisor, next_delay
from clipzy_storage.log_events import SUPERVISOR_RESTARTING
from tests.support.log_lines import events_in
from tests.support.processes import Watched, environment

ROOT = Path(__file__).parents[2]

STABLE = "import os, signal; print('stable', os.getpid(), flush=True); signal.pause()"
IGNORES_SIGTERM = (
    "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('running', os.getpid(), flush=True); [signal.pause() for _ in iter(int, 1)]"
)


@contextmanager
def supervised(*scripts: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.cli.supervise", *scripts]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout
    for line in process.stdout:
        if line.startswith(word):
            return line
    raise AssertionError(f"the process ended without a line that begins with {word!r}")


def pid_of(line: str) -> int:
    return int(line.split()[1])


def test_exited_children_are_restarted_with_growing_delays(tmp_path: Path) -> None:
    # Given a child that fails at its first two starts
    starts = tmp_path / "starts"
    failing_twice = (
        f"import pathlib, sys; starts = pathlib.Path({str(starts)!r});"
        "n = len(starts.read_text()) if starts.exists() else 0; starts.write_text('x' * (n + 1));"
        f"n < 2 and sys.exit(3); {STABLE}"
    )

    # When it is supervised
    with supervised(failing_twice) as process:
        child = Watched(pid_of(read_until(process, "stable")))
        process.terminate()

        # Then it was restarted after growing delays, with one line each, and stopped with its supervisor
        assert process.stderr
        restarts = events_in(process.stderr.read(), SUPERVISOR_RESTARTING, child="child 1", ended_with="status 3")
        first, second = restarts
        assert first.has({"delay_seconds": 0.2})
        assert second.has({"delay_seconds": 0.4})
        assert child.has_exited()
        assert process.wait() == 0


def test_a_child_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    """It ended `clipzy up` with a traceback, and everything with it."""
    # Given a child whose log cannot be opened any more when it has been killed
    directory, away = tmp_path / "logs", tmp_path / "away"
    directory.mkdir()
    child = Child("child", [sys.executable, "-c", STABLE], output=directory / "child.log")
    child.start()
    with Signals() as signals, capture_logs() as logged:
        supervisor = Supervisor(signals)
        supervisor.watch(child)
        directory.rename(away)
        child.kill()
        # When it cannot be restarted, then that is logged
        ended = supervisor.run(until=lambda: any("no start: No such file" in str(line) for line in logged))
        assert ended is None
        # And it is once that is possible
        away.rename(directory)
        assert supervisor.run(until=child.is_running) is None
        supervisor.stop([child], grace_seconds=50)


@pytest.mark.parametrize(
    ("previous_seconds", "ran_seconds", "expected_seconds"),
    [(None, 0, 0.2), (0.2, 1, 0.4), (6.4, 1, 10), (10, 29, 10), (10, 30, 0.2)],
)
def test_delays(previous_seconds: float | None, ran_seconds: float, expected_seconds: float) -> None:
    assert next_delay(previous_seconds, ran_seconds=ran_seconds) == expected_seconds


def test_a_child_with_a_wrong_setting_stops_everything(tmp_path: Path) -> None:
    # Given a child that runs
    order = tmp_path / "exit"
    misconfigured = (
        f"import pathlib, time; order = pathlib.Path({str(order)!r})\n"
        "while not order.exists(): time.sleep(0.01)\n"
        "raise SystemExit(78)"
    )
    with supervised(STABLE, misconfigured) as process:
        child = Watched(pid_of(read_until(process, "stable")))

        # When another one exits with status 78
        order.touch()

        # Then everything exits with that status
        assert child.has_exited()
        assert process.wait() == 78


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")
def test_a_killed_supervisor_leaves_nothing_running() -> None:
    with supervised(STABLE) as process:
        # Given a supervised child
        child = Watched(pid_of(read_until(process, "stable")))

        # When the supervisor is killed without a chance to clean up
        process.kill()

        # Then the child exits as well
        assert child.has_exited()


def test_a_second_signal_kills_a_child_that_ignores_the_first() -> None:
    with supervised(IGNORES_SIGTERM) as process:
        # Given a child that ignores SIGTERM, while the supervisor waits for it
        child = Watched(pid_of(read_until(process, "running")))
        process.send_signal(signal.SIGINT)
        read_until(process, "stopping")

        # When a second signal arrives
        process.send_signal(signal.SIGINT)

        # Then the child is killed, and the supervisor exits normally
        assert child.has_exited()
        assert process.wait() == 0


def test_the_processes_of_a_killed_child_are_killed_too() -> None:
    # Given a child that ignores SIGTERM, and a process that it has started
    reader, writer = os.pipe()
    with_grandchild = (
        f"import os, signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"p = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']);"
        f"os.write({writer}, str(p.pid).encode()); signal.pause()"
    )
    child = Child("parent", [sys.executable, "-c", with_grandchild], pass_fds=[writer])
    child.start()
    grandchild = Watched(int(os.read(reader, 20)))

    # When it is stopped with a short grace period
    child.stop(grace_seconds=0.1)

    # Then both have exited
    assert child.exit_status() == -signal.SIGKILL
    assert grandchild.has_exited()
    os.close(reader)
    os.close(writer)
