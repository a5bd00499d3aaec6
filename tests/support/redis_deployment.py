"""A small deployment whose Redis stands behind a proxy, and what can be done to it."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from clipzy_storage import keys
from clipzy_storage.celery_config import QUEUE
from tests.support.deployment import Api, Process, Stack, commands_below, eventually
from tests.support.servers import RedisServer, running_redis
from tests.support.tcp_proxy import TcpProxy

HINTS = keys.BROKER_PREFIX + QUEUE
UNACKED = keys.BROKER_PREFIX + "unacked"


@dataclass(frozen=True)
class FaultyRedis:
    """A server, the proxy before it, and a client that does not take the way over the proxy."""

    server: RedisServer
    proxy: TcpProxy
    client: Any

    @property
    def url(self) -> str:
        """The server as it is seen over the proxy."""
        real, seen = urlsplit(self.server.url), urlsplit(self.proxy.url)
        return real._replace(netloc=f":{real.password}@{seen.hostname}:{seen.port}").geturl()

    def start_again(self) -> None:
        self.server.child.start()
        eventually(self._answers, "Redis again")

    def cut_all(self) -> None:
        """Have the server break off every connection but our own."""
        for kind in ("normal", "pubsub"):
            self.client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    def waiting_clients(self) -> int:
        """How many wait in a BRPOP."""
        return int(self.client.info("clients")["blocked_clients"])

    def queue_length(self) -> int:
        return int(self.client.llen(HINTS))

    def _answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError):  # it may still be loading
            return bool(self.client.ping())
        return False


@contextlib.contextmanager
def faulty_redis(folder: Path) -> Iterator[FaultyRedis]:
    with (
        running_redis(folder / "redis") as server,
        TcpProxy(server.url) as proxy,
        redis.Redis.from_url(server.url, decode_responses=True) as client,
    ):
        yield FaultyRedis(server, proxy, client)


@dataclass
class Deployment:
    """One front end, and workers once they are wanted, which reach Redis over its proxy."""

    redis: FaultyRedis
    stack: Stack
    api: Api
    workers: list[Process] = field(default_factory=list)
    _held: set[int] = field(default_factory=set)

    def worker(self) -> Process:
        """The one that lives, or a new one with two places."""
        if not self.workers or self.workers[-1].popen.poll() is not None:
            self.workers.append(self.stack.worker(MAX_CONCURRENT_JOBS="2"))
        return self.workers[-1]

    def submit(self, clip: Path, *, count: int = 1) -> list[str]:
        return [self.api.upload(clip)["job_id"] for _ in range(count)]

    def held_jobs(self, clip: Path, *, count: int) -> list[str]:
        """Jobs in the middle of their work, which stay there until ``let_go``: their media processes are frozen."""
        worker, wanted, job_ids = self.worker(), len(self._held) + count, self.submit(clip, count=count)
        eventually(lambda: self._hold_below(worker.pid) >= wanted, "media processes")
        return job_ids

    def let_go(self) -> None:
        """Let the held go on, which must not have been given up meanwhile."""
        held, self._held = self._held, set()
        assert all(_is_frozen(pid) for pid in held), "a job at work was ended"
        for pid in held:
            os.kill(pid, signal.SIGCONT)

    def claims(self, job_id: str = "") -> int:
        """How often the job was begun; how often any was."""
        return sum(worker.output().count(f"job.claimed: {job_id}") for worker in self.workers)

    def attempts_of(self, job_ids: list[str]) -> list[tuple[str, int]]:
        """How each has ended, and at which attempt."""
        ended = [self.api.finished(job_id) for job_id in job_ids]
        return [(job["status"], job["attempt"]) for job in ended]

    def _hold_below(self, pid: int) -> int:
        for child, command in commands_below(pid).items():
            if "clipzy_worker.analysis" in command and child not in self._held:
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
def running_deployment(folder: Path, **settings: str) -> Iterator[Deployment]:
    """A front end that is ready, on a Redis of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        faulty_redis(folder) as found,
        Stack(folder / "deployment", redis_url=found.url, **settings) as stack,
    ):
        yield Deployment(found, stack, stack.web())
