"""Clients that hold connections in six ways, for as long as the server lets them, and then connect again.

They run in a process of their own, which ends after its time, or with the process that started it.
"""

import json
import random
import resource
import select
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from clipzy_storage.backends.base import put_bytes
from clipzy_storage.jobs.attempt import AttemptResult
from tests.support.forms import mp4_bytes, part
from tests.support.played_worker import claim, submit
from tests.support.processes import Process, environment
from tests.support.servers import FrontEnd
from tests.support.wire import head

ARRIVAL_SECONDS = 5.0
RETURN_SECONDS = 1.0
TURNS_PER_SECOND = 20
RECEIVE_BUFFER_BYTES = 4096
LARGE_FILE_BYTES = 20 << 20
LISTED_FILES = 4000
CONNECTED = "all have connected"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Targets:
    """What they ask for: an unfinished job, the large result of a completed one, and a large file of it."""

    open_id: str
    done_id: str
    key: str


def published_targets(front_end: FrontEnd) -> Targets:
    open_id, done_id = (submit(front_end)["job_id"] for _ in range(2))
    attempt = claim(front_end, done_id)
    key = f"{attempt.prefix}large.mp4"
    put_bytes(front_end.storage, key, bytes(LARGE_FILE_BYTES), content_type="video/mp4")
    listed = [
        {"name": f"{number:04}.mp4", "key": key, "size_bytes": LARGE_FILE_BYTES, "sha256": "0" * 64, "kind": "poster"}
        for number in range(LISTED_FILES)
    ]
    index = json.dumps({"job_id": done_id, "artifacts": listed}).encode()
    put_bytes(front_end.storage, f"{attempt.prefix}output.json", index, content_type="application/json")
    assert attempt.commit(AttemptResult(attempt.job.attempt, attempt.prefix, index)) is not None
    return Targets(open_id, done_id, key)


@contextmanager
def hostile_clients(directory: Path, port: int, targets: Targets, *, count: int, seconds: float) -> Iterator[Process]:
    """They have all connected once; they end after ``seconds`` by themselves, or with the ``with``."""
    options = json.dumps({"port": port, "targets": asdict(targets), "count": count, "seconds": seconds})
    command = [sys.executable, "-m", "tests.support.hostile_clients", options]
    process = Process(command, cwd=ROOT, env=environment(), log=directory / "hostile-clients.log")
    try:
        yield process.wait_for_log(CONNECTED)
    finally:
        process.kill()


@dataclass(frozen=True)
class Kind:
    """What one kind of client sends at first, and what it sends or reads in each second after that."""

    first_bytes: bytes
    sends: bytes = b""
    reads_bytes: int = 0


def kinds(targets: Targets) -> list[Kind]:
    begun_upload = head("/api/v1/videos", length=10 << 20) + part("file", mp4_bytes(100_000), filename="slow.mp4")
    answers = (
        f"/api/v1/jobs/{targets.done_id}/result",
        f"/storage/{targets.key}",
        "/docs/swagger-ui/swagger-ui-bundle.js",
        f"/api/v1/jobs/{targets.open_id}/events",
    )
    return [
        Kind(b"GET /healthz HTTP/1.1\r\nHost: test\r\nX-Slow: ", sends=b"x"),
        Kind(begun_upload, sends=b"x"),
        *(Kind(head(path, method="GET"), reads_bytes=1) for path in answers),
    ]


class _Client:
    """One of them. At any time it has one connection, or waits to connect again."""

    def __init__(self, kind: Kind, host: str) -> None:
        self.has_connected = False
        self._kind, self._host = kind, host
        self._unsent = b""
        self._connection: socket.socket | None = None
        self._connects_at = time.monotonic() + random.uniform(0, ARRIVAL_SECONDS)

    def act(self, port: int, hangups: select.epoll, clients: "dict[int, _Client]") -> None:
        """What it does once a second."""
        if self._connection is None:
            if time.monotonic() >= self._connects_at:
                self._connect(port)
                clients[self._watch(hangups)] = self
            return
        try:
            with suppress(BlockingIOError):
                if unsent := self._unsent or self._kind.sends:
                    self._unsent = unsent[self._connection.send(unsent) :]
            with suppress(BlockingIOError):
                if self._kind.reads_bytes:
                    self._connection.recv(self._kind.reads_bytes)
        except OSError:
            self.leave()

    def leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._connects_at = None, time.monotonic() + RETURN_SECONDS

    def _connect(self, port: int) -> None:
        self._connection = socket.socket()
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._connection.setblocking(False)
        self._connection.bind((self._host, 0))
        self._connection.connect_ex(("127.0.0.1", port))
        self._unsent, self.has_connected = self._kind.first_bytes, True

    def _watch(self, hangups: select.epoll) -> int:
        assert self._connection is not None
        hangups.register(self._connection, select.EPOLLRDHUP)
        return self._connection.fileno()


def attack(port: int, targets: Targets, *, count: int, seconds: float) -> None:
    """Hold ``count`` connections, an equal share of each kind, each kind from its own address from 127.0.0.2 on."""
    numbered = list(enumerate(kinds(targets)))
    turns = [(number, kind) for _ in range(-(-count // len(numbered))) for number, kind in numbered][:count]
    clients = [_Client(kind, f"127.0.0.{2 + number}") for number, kind in turns]
    until, is_told = time.monotonic() + seconds, False
    by_descriptor: dict[int, _Client] = {}
    with select.epoll() as hangups:
        while time.monotonic() < until:
            for turn in range(TURNS_PER_SECOND):
                ends_at = time.monotonic() + 1 / TURNS_PER_SECOND
                for client in clients[turn::TURNS_PER_SECOND]:
                    client.act(port, hangups, by_descriptor)
                while (left := ends_at - time.monotonic()) > 0:
                    for descriptor, _ in hangups.poll(left):
                        by_descriptor[descriptor].leave()
            if not is_told and all(client.has_connected for client in clients):
                is_told = True
                print(CONNECTED, flush=True)  # noqa: T201 - read by `hostile_clients`


def _main(options: str) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    given = json.loads(options)
    attack(given["port"], Targets(**given["targets"]), count=given["count"], seconds=given["seconds"])


if __name__ == "__main__":
    _main(sys.argv[1])
