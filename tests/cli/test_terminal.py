"""Long-running commands without a place for their output, and when their terminal is closed."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from clipzy_storage.process import with_parent_death_signal
from tests.support.api_client import ApiClient
from tests.support.processes import CLIPZY, Watched, commands_below, environment, free_port, running_in
from tests.support.servers import RedisServer, running_redis
from tests.support.waiting import eventually

FLOWER_BASIC_AUTH = "user:another-password"
# Becomes a command whose controlling terminal this is.
IN_TERMINAL = "import os, sys; os.login_tty(int(sys.argv[1])); os.execvp(sys.argv[2], sys.argv[2:])"


@dataclass
class Running:
    """A command and the other end of its output, which is closed by ``hang_up``."""

    process: "subprocess.Popen[bytes]"
    reader: int | None

    def hang_up(self) -> None:
        if self.reader is not None:
            os.close(self.reader)
            self.reader = None


def in_shell(words: str, command: Sequence[str]) -> list[str]:
    return ["sh", "-c", f'{words}exec "$@"', "sh", *command]


@contextlib.contextmanager
def started(command: Sequence[str], *, cwd: Path, output: str, words: str = "", **settings: str) -> Iterator[Running]:
    """A command whose output is a ``terminal``, a ``pipe``, or what ``words`` of a shell make of it."""
    reader, writer = os.openpty() if output == "terminal" else os.pipe()
    process = subprocess.Popen(
        with_parent_death_signal(
            *([sys.executable, "-c", IN_TERMINAL, str(writer)] if output == "terminal" else []),
            *in_shell(words, [*CLIPZY, *command]),
        ),
        cwd=cwd,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
        pass_fds=[writer],
        start_new_session=output != "terminal",
    )
    os.close(writer)
    running = Running(process, reader)
    try:
        yield running
    finally:
        running.hang_up()
        process.terminate()
        process.wait(60)


NO_OUTPUT = {
    "a terminal that was closed": ("terminal", "trap '' HUP; "),
    "a pipe whose reader is gone": ("pipe", ""),
    "a full disk": ("pipe", "exec >/dev/full 2>/dev/full; "),
    "closed descriptors": ("pipe", "exec <&- >&- 2>&-; "),
    "only standard error closed": ("pipe", "exec 2>&-; "),
}


LONG = {"a terminal that was closed", "a pipe whose reader is gone"}


@pytest.mark.parametrize("way", [pytest.param(way, marks=pytest.mark.long if way in LONG else []) for way in NO_OUTPUT])
def test_a_service_without_a_place_for_its_output_goes_on(tmp_path: Path, clip: Path, way: str) -> None:
    """Without `drop_unwritable_output` the supervisor exits when it reports the worker's end, and takes all down.

    With closed descriptors the lock of the embedded Redis becomes standard error, and is written to.
    """
    output, words = NO_OUTPUT[way]
    port = free_port()
    with (
        started(["up", "--port", str(port)], cwd=tmp_path, output=output, words=words) as running,
        contextlib.closing(ApiClient(f"http://127.0.0.1:{port}")) as api,
    ):
        # Given a service that cannot write to its output
        eventually(api.is_ready, "a front end that is ready")
        running.hang_up()
        worker = eventually(lambda: worker_below(running.process.pid), "a worker")
        # When its worker is killed, so that there is something to report
        os.kill(worker, signal.SIGKILL)
        # Then another one takes its place and completes a job
        eventually(lambda: worker_below(running.process.pid) not in (0, worker), "another worker")
        assert api.finished(api.upload(clip)["job_id"])["status"] == "completed"
        # And the service stops as usual
        below = [Watched(pid) for pid in commands_below(running.process.pid)]
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0
        assert all(process.has_exited() for process in below)
        assert not running_in(tmp_path)


def worker_below(pid: int) -> int:
    """The main process of the worker; 0 if there is none."""
    return min((child for child, command in commands_below(pid).items() if "-m clipzy_worker" in command), default=0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def settings(server: RedisServer) -> dict[str, str]:
    server.forget_everything(open_guard=True)
    return {"REDIS_URL": server.url, "FLOWER_BASIC_AUTH": FLOWER_BASIC_AUTH}


STARTED = {"up": "Clipzy is ready", "web": "", "worker": "worker.ready", "flower": "flower.ready"}


@contextlib.contextmanager
def running_in_terminal(command: str, words: str = "", *, cwd: Path, **settings: str) -> Iterator[Running]:
    """A command in a terminal, once it does its work."""
    port = free_port()
    arguments = [command] if command == "worker" else [command, "--port", str(port)]
    with started(arguments, cwd=cwd, output="terminal", words=words, **settings) as running:
        if STARTED[command]:
            wait_for_output(running, STARTED[command].encode())
        else:  # it is ready some time after its last line
            with contextlib.closing(ApiClient(f"http://127.0.0.1:{port}")) as api:
                eventually(api.is_ready, "a front end that is ready")
        yield running


def wait_for_output(running: Running, text: bytes) -> None:
    output = b""

    def has_come() -> bool:
        nonlocal output
        assert running.reader is not None
        with contextlib.suppress(OSError):  # a terminal that nothing holds open yet
            output += os.read(running.reader, 1 << 16)
        return text in output

    eventually(has_come, str(text))


@pytest.mark.parametrize("command", STARTED)
def test_a_closed_terminal_ends_a_command_cleanly(tmp_path: Path, settings: dict[str, str], command: str) -> None:
    """Without its handlers a worker is restarted by Celery, and a front end by granian."""
    # Given a command in a terminal
    with running_in_terminal(command, cwd=tmp_path, **settings) as running:
        below = [Watched(pid) for pid in commands_below(running.process.pid)]
        # When the terminal is closed
        running.hang_up()
        # Then it ends as if it had been stopped
        assert running.process.wait(60) == 0
        assert all(process.has_exited() for process in below)


@pytest.mark.parametrize("command", STARTED)
def test_under_nohup_a_closed_terminal_ends_nothing(
    tmp_path: Path, settings: dict[str, str], command: str, server: RedisServer
) -> None:
    # Given a command in a terminal, of which it ignores the end
    with running_in_terminal(command, "trap '' HUP; ", cwd=tmp_path, **settings) as running:
        below = commands_below(running.process.pid)
        # When the terminal is closed, and then every connection to Redis, which is something to report
        running.hang_up()
        os.killpg(running.process.pid, signal.SIGHUP)
        server.cut_clients()
        # Then it goes on, and connects again
        eventually(lambda: len(server.admin.client_list(_type="normal")) > 1, "connections to Redis")
        assert running.process.poll() is None
        assert below.keys() <= commands_below(running.process.pid).keys()
        # And stops when it is told to
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0
