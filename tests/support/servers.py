"""Real servers for the tests: a Redis and front ends, each a process of its own on a free loopback port."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import requests

from clipzy_api.cli.embedded_redis import EmbeddedRedis
from clipzy_api.cli.supervisor import Child
from clipzy_storage import failpoints, keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.process import with_parent_death_signal
from clipzy_storage.redis_client import RedisDatabase
from tests.support.deployment import free_port
from tests.support.wire import eventually


@dataclass(frozen=True)
class RedisServer:
    """One Redis process. Its methods do to it what fate does."""

    url: str
    child: Child

    def forget_everything(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def client(self) -> Any:
        """To be used with ``with``."""
        return redis.Redis.from_url(self.url, decode_responses=True)

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        self.child.kill()

    def _send(self, number: signal.Signals) -> None:
        if self.child.is_running() and self.child.pid is not None:
            os.kill(self.child.pid, number)


@dataclass(frozen=True)
class FrontEnd:
    """One running front end, and its storage and records as another process sees them."""

    port: int
    root: Path
    storage: LocalStorage
    store: JobStore
    log: Path
    process: "subprocess.Popen[bytes]"
    redis_url: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api(self) -> str:
        return f"{self.url}/api/v1"

    @property
    def admin(self) -> JobAdmin:
        return JobAdmin(RedisDatabase(self.redis_url))

    def unfinished(self) -> list[str]:
        """Names of uploads that have not been published."""
        folder = self.root / ".clipzy/incoming"
        return [path.name for path in folder.iterdir()] if folder.exists() else []

    def stored(self) -> list[str]:
        """Keys of everything that uploads and jobs have left."""
        return [blob.key for top in ("uploads/", "jobs/", "results/") for blob in self.storage.list(top)]

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=30, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return requests.post(self.url + path, timeout=30, **options)

    def delete(self, path: str, **options: Any) -> requests.Response:
        return requests.delete(self.url + path, timeout=30, **options)

    def get_as_written(self, path: str) -> requests.Response:
        """The path byte by byte, where a client would tidy up its dots."""
        request = requests.Request("GET", self.url).prepare()
        request.url = self.url + path
        with requests.Session() as session:
            return session.send(request, timeout=30, allow_redirects=False)

    def forget(self, job_id: str) -> None:
        """What a loss of Redis does to one job's record."""
        with redis.Redis.from_url(self.redis_url) as client:
            assert client.delete(f"{keys.REDIS_PREFIX}job:{job_id}")

    def forget_whole(self, job_id: str) -> None:
        """The same, with every listing that it is in."""
        with redis.Redis.from_url(self.redis_url) as client:
            for key in client.scan_iter(f"{keys.REDIS_PREFIX}*"):
                match client.type(key):
                    case b"zset":
                        client.zrem(key, job_id)
                    case b"set":
                        client.srem(key, job_id)
        self.forget(job_id)

    def compare_records(self) -> None:
        """Say that nothing has been lost since Redis was started, as a worker finds out."""
        self.admin.set_reconciled(self.admin.run_id())

    @contextmanager
    def doomed(self, folder: Path, *, at: str) -> "Iterator[FrontEnd]":
        """Another front end on the same storage and Redis, whose serving process exits at this failpoint."""
        folder.mkdir(parents=True)
        order = folder / "failpoint"
        order.write_text(f"{at} exit")
        settings = {failpoints.VARIABLE: str(order)}
        with running_front_end(folder, self.redis_url, storage_path=self.root, **settings) as other:
            yield other

    def serving_pid(self) -> int:
        """The process that answers, a child of the one that was started."""
        return _serving_pid(self.process)


@contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    embedded = EmbeddedRedis(folder)
    server = RedisServer(embedded.start(), embedded.child)
    try:
        yield server
    finally:
        server.thaw()
        embedded.stop()


@contextmanager
def running_front_end(
    folder: Path, redis_url: str, *, storage_path: Path | None = None, **settings: str
) -> Iterator[FrontEnd]:
    """``clipzy web``, ready. ``settings`` are environment variables."""
    folder.mkdir(parents=True, exist_ok=True)
    port, root = free_port(), storage_path or folder / "storage"
    env = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "PYTHONPATH": os.pathsep.join(sys.path),
        "LOCAL_STORAGE_PATH": str(root),
        "CLIPZY_DATA_DIR": str(folder / "data"),
        "REDIS_URL": redis_url,
        **settings,
    }
    command = [sys.executable, "-m", "clipzy_api.cli", "web", "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "web.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            with_parent_death_signal(*command), env=env, cwd=folder, stdout=stream, stderr=stream
        )
    try:
        assert eventually(lambda: process.poll() is not None or _is_ready(port)), log.read_text()
        assert process.poll() is None, log.read_text()
        store = JobStore(RedisDatabase(redis_url), lease_seconds=60)
        yield FrontEnd(port, root, LocalStorage(root, shared=False), store, log, process, redis_url)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _serving_pid(process: "subprocess.Popen[bytes]") -> int:
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def _is_ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=10).status_code == 200
    except requests.ConnectionError:
        return False
