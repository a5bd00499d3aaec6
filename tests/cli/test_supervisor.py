"""The supervisor around small stand-in children."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clipzy_api.cli.supervisor import Child, next_delay
from tests.support.processes import Watched, environment

ROOT = Path(__file__).parents[2]

STEADY = "import os, signal; print('steady', os.getpid(), flush=True); signal.pause()"
STUBBORN = (
    "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('stubborn', os.getpid(), flush=True); [signal.pause() for _ in iter(int, 1)]"
)
MISCONFIGURED = "raise SystemExit(78)"


@contextmanager
def supervised(*scripts: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.cli.supervise", *scripts]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True) as process:
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


def test_the_dead_are_started_again_ever_more_slowly(tmp_path: Path) -> None:
    # Given a child that fails at its first two starts
    starts = tmp_path / "starts"
    failing_twice = (
        f"import pathlib, sys; starts = pathlib.Path({str(starts)!r});"
        "n = len(starts.read_text()) if starts.exists() else 0; starts.write_text('x' * (n + 1));"
        f"n < 2 and sys.exit(3); {STEADY}"
    )

    # When it is supervised
    with supervised(failing_twice) as process:
        first = read_until(process, "child")
        second = read_until(process, "child")
        child = Watched(pid_of(read_until(process, "steady")))
        process.terminate()

        # Then it was started again after a pause that grew, with one line each, and ended with its supervisor
        assert first == "child 1 ended with status 3; starting it again in 0.2 s\n"
        assert second == "child 1 ended with status 3; starting it again in 0.4 s\n"
        assert child.has_exited()
        assert process.wait() == 0


@pytest.mark.parametrize(
    ("previous_seconds", "lived_seconds", "expected_seconds"),
    [(None, 0, 0.2), (0.2, 1, 0.4), (6.4, 1, 10), (10, 29, 10), (10, 30, 0.2)],
)
def test_delays(previous_seconds: float | None, lived_seconds: float, expected_seconds: float) -> None:
    assert next_delay(previous_seconds, lived_seconds=lived_seconds) == expected_seconds


def test_a_child_with_a_wrong_set_up_stops_everything() -> None:
    # Given a child that runs well
    # When another one ends with status 78 beside it
    misconfigured_later = "import time; time.sleep(1); " + MISCONFIGURED
    with supervised(STEADY, misconfigured_later) as process:
        child = Watched(pid_of(read_until(process, "steady")))

        # Then all of it ends with that status
        assert child.has_exited()
        assert process.wait() == 78


@pytest.mark.skipif(sys.platform != "linux", reason="the leash is the Linux kernel's")
def test_a_killed_supervisor_leaves_nothing_running() -> None:
    with supervised(STEADY) as process:
        # Given a supervised child
        child = Watched(pid_of(read_until(process, "steady")))

        # When the supervisor is killed without a chance to clean up
        process.kill()

        # Then the child ends as well
        assert child.has_exited()


def test_a_second_signal_hurries_a_stubborn_child() -> None:
    with supervised(STUBBORN) as process:
        # Given a child that ignores being asked to end, while it is waited for
        child = Watched(pid_of(read_until(process, "stubborn")))
        process.send_signal(signal.SIGINT)
        read_until(process, "stopping")

        # When a second signal comes
        process.send_signal(signal.SIGINT)

        # Then the child is killed, and the supervisor ends in order
        assert child.has_exited()
        assert process.wait() == 0


def test_what_a_killed_child_had_started_is_killed_too() -> None:
    # Given a child that does not end when asked to, and a process that it has started
    reader, writer = os.pipe()
    with_grandchild = (
        f"import os, signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"p = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']);"
        f"os.write({writer}, str(p.pid).encode()); signal.pause()"
    )
    child = Child("parent", [sys.executable, "-c", with_grandchild], pass_fds=[writer])
    child.start()
    grandchild = Watched(int(os.read(reader, 20)))

    # When it is stopped with little patience
    child.stop(grace_seconds=0.1)

    # Then both are gone
    assert child.exit_status() == -signal.SIGKILL
    assert grandchild.has_exited()
    os.close(reader)
    os.close(writer)
