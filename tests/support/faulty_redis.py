"""A deployment whose Redis stands behind a proxy, jobs that stay at work meanwhile, and a Redis with one answer."""

import contextlib
import os
import signal
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.broker import broker_key
from tests.support.deployment import Deployment, claims_by
from tests.support.processes import Process, media_processes_below
from tests.support.servers import RedisServer, running_redis
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually


@dataclass(frozen=True)
class FaultyRedis:
    """A server and the proxy in front of it."""

    server: RedisServer
    proxy: TcpProxy

    @property
    def url(self) -> str:
        """The server as it is seen through the proxy."""
        return self.server.url_through(self.proxy.url)

    def blocked_clients(self) -> int:
        """How many wait in a BRPOP."""
        return int(self.server.admin.info("clients")["blocked_clients"])

    def queue_length(self) -> int:
        return int(self.server.admin.llen(broker_key(self.server.url)))


@contextlib.contextmanager
def faulty_redis(directory: Path) -> Iterator[FaultyRedis]:
    with running_redis(directory / "redis") as server, TcpProxy(server.address) as proxy:
        yield FaultyRedis(server, proxy)


class _OneAnswer(socketserver.StreamRequestHandler):
    answer = b""

    def handle(self) -> None:
        while head := self.rfile.readline():
            for _ in range(int(head[1:])):  # each part of a command is a length and so many bytes
                self.rfile.read(int(self.rfile.readline()[1:]) + 2)
            self.wfile.write(self.answer)


@contextlib.contextmanager
def redis_that_answers(answer: str) -> Iterator[str]:
    """The URL of a server that answers every command with this error, which a real one gives only for moments."""
    handler = type("Handler", (_OneAnswer,), {"answer": f"-{answer}\r\n".encode()})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()
        thread.join()


class FaultyRedisDeployment(Deployment):
    """One front end, which ``api`` is a client of, and ``workers``, all of which reach Redis through its proxy."""

    def __init__(self, directory: Path, redis: FaultyRedis, **settings: str) -> None:
        super().__init__(directory, redis_url=redis.url, **settings)
        self.redis = redis
        self.workers: list[Process] = []
        self._held: set[int] = set()

    def __enter__(self) -> Self:
        super().__enter__()
        self.api = self.web()
        return self

    def running_worker(self) -> Process:
        """The last worker, or a new one with two slots if that has exited."""
        if not self.workers or not self.workers[-1].is_running():
            self.workers.append(self.worker(MAX_CONCURRENT_JOBS="2"))
        return self.workers[-1]

    def submit(self, clip: Path, *, count: int = 1) -> list[str]:
        return [self.api.upload(clip)["job_id"] for _ in range(count)]

    def held_jobs(self, clip: Path, *, count: int) -> list[str]:
        """Jobs in the middle of their work, which stay there until ``let_go``: their media processes are frozen."""
        worker, wanted, job_ids = self.running_worker(), len(self._held) + count, self.submit(clip, count=count)
        eventually(lambda: self._hold_below(worker.pid) >= wanted, "media processes")
        return job_ids

    def let_go(self) -> None:
        """Let the held jobs go on; fails if one of their media processes has exited meanwhile."""
        held, self._held = self._held, set()
        assert all(_is_frozen(pid) for pid in held), "a job at work was given up"
        for pid in held:
            os.kill(pid, signal.SIGCONT)

    def claims(self, job_id: str = "") -> int:
        """How often all workers claimed the job, or any."""
        return sum(claims_by(worker, job_id) for worker in self.workers)

    def outcomes(self, job_ids: list[str]) -> list[tuple[str, int]]:
        """The terminal status of each, and the number of the attempt that led to it."""
        finished = [self.api.finished(job_id) for job_id in job_ids]
        return [(job["status"], job["attempt"]) for job in finished]

    def _hold_below(self, pid: int) -> int:
        for child in media_processes_below(pid):
            if child not in self._held:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGSTOP)
                    self._held.add(child)
        return len(self._held)


def _is_frozen(pid: int) -> bool:
    try:
        return "State:\tT" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@contextlib.contextmanager
def deployment_on_faulty_redis(directory: Path, **settings: str) -> Iterator[FaultyRedisDeployment]:
    """A front end that is ready, on a Redis for it alone."""
    with (
        faulty_redis(directory) as redis,
        FaultyRedisDeployment(directory / "deployment", redis, **settings) as deployment,
    ):
        yield deployment
