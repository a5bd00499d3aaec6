"""Real servers for the tests: a Redis to which everything may be done that happens to one, and front ends."""

import contextlib
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import requests

from clipzy_api.cli.embedded_redis import find_server, server_config
from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.failpoints import Failpoint
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.redis_client import RedisDatabase
from tests.support.failpoint_file import FailpointFile
from tests.support.processes import CLIPZY, Process, descendants, environment, free_port, own_host
from tests.support.waiting import eventually


class RedisServer:
    """A server with an append-only file in ``directory``; it keeps its address and password when it is restarted."""

    def __init__(self, directory: Path, *, socket_path: Path | None = None) -> None:
        """With a ``socket_path`` it listens there too."""
        self._directory, self._host, self._port = directory, own_host(), 6379
        self._options = ["--unixsocket", str(socket_path)] if socket_path else []
        self._password = secrets.token_urlsafe(16)
        self._process: Process | None = None
        self.admin: Any = redis.Redis(
            self._host, self._port, password=self._password, socket_timeout=10, decode_responses=True
        )
        """A client that takes no proxy."""
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return self.url_through(self.address)

    @property
    def address(self) -> str:
        """What a proxy stands in front of."""
        return f"http://{self._host}:{self._port}"

    @property
    def password(self) -> str:
        return self._password

    def url_through(self, address: str) -> str:
        """Its URL by way of the proxy at ``address``."""
        return f"redis://:{self._password}@{address.removeprefix('http://')}/0"

    def url_of(self, user: str, password: str, *, db: int = 0) -> str:
        """Its URL for a user of ``acl``."""
        return f"redis://{user}:{password}@{self.address.removeprefix('http://')}/{db}"

    def acl(self, user: str, password: str, *rules: str) -> None:
        """Make or change a user: ``ACL SETUSER``."""
        self.admin.execute_command("ACL", "SETUSER", user, "reset", "on", f">{password}", *rules)

    def client(self) -> Any:
        """A new client, to be used with ``with``."""
        return redis.Redis.from_url(self.url, decode_responses=True)

    def start(self, *, open_guard: bool = True) -> None:
        """Start it from its append-only file and wait until it answers.

        The thread that calls this must live as long as the server.
        """
        config = self._directory / "redis.conf"
        config.write_text(server_config(self._directory, port=self._port, password=self._password))
        self._process = Process(
            [find_server(), str(config), "--bind", self._host, *self._options],
            cwd=self._directory,
            env=environment(),
            log=self._directory / "redis.log",
        )
        eventually(self._answers, "a Redis that answers")
        if open_guard:
            self.open_guard()

    def open_guard(self) -> None:
        """Spare joining processes the 30 s wait after a start: no other process can be on this server."""
        self.admin.set(f"{keys.REDIS_PREFIX}guard:since", 0)
        server: Any = self.admin.info("server")
        self.admin.set(f"{keys.REDIS_PREFIX}guard:fresh-run", server["run_id"])

    def kill(self) -> None:
        self._running().kill()

    def freeze(self) -> None:
        self._running().send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running().send(signal.SIGCONT)

    def demote(self) -> None:
        """Make it the replica of a server that does not exist: it refuses writes."""
        self.admin.replicaof("127.0.0.1", 1)

    def promote(self) -> None:
        self.admin.replicaof("NO", "ONE")

    def cut_clients(self) -> None:
        """Close every connection but that of ``admin``."""
        for kind in ("normal", "pubsub"):
            self.admin.client_kill_filter(_type=kind, skipme=True)

    @contextmanager
    def full(self) -> Iterator[None]:
        """It has no memory left in here."""
        self.admin.config_set("maxmemory", 1)
        try:
            yield
        finally:
            self.admin.config_set("maxmemory", 0)

    def forget_everything(self, *, open_guard: bool = False) -> None:
        """With ``open_guard`` processes that join again need not wait."""
        with self.admin.pipeline(transaction=True) as pipeline:
            pipeline.flushall()
            if open_guard:
                pipeline.set(f"{keys.REDIS_PREFIX}guard:since", 0)
            pipeline.execute()
        if open_guard:
            self.open_guard()

    def save_copy(self) -> None:
        """Copy the append-only file as it is now."""
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self._data, self._copy)

    def restart_from_copy(self) -> None:
        """Kill it and start it from the saved copy, or empty if there is none."""
        self.kill()
        shutil.rmtree(self._data, ignore_errors=True)
        if self._copy.exists():
            self._copy.rename(self._data)
        self.start()

    def stop(self) -> None:
        self.admin.close()
        if self._process is not None and self._process.is_running():
            self.kill()

    @property
    def _data(self) -> Path:
        return self._directory / "appendonlydir"

    @property
    def _copy(self) -> Path:
        return self._directory / "copy"

    def _running(self) -> Process:
        assert self._process is not None, "not started"
        return self._process

    def _answers(self) -> bool:
        assert self._running().is_running(), self._running().output()[-2000:]
        with contextlib.suppress(redis.RedisError):  # it may still be loading
            return bool(self.admin.ping())
        return False


@dataclass(frozen=True)
class FrontEnd:
    """One running front end, and its storage and records as another process sees them."""

    port: int
    root: Path
    storage: LocalStorage
    store: JobStore
    process: Process
    redis_url: str

    @property
    def log(self) -> Path:
        return self.process.log

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
        directory = self.root / ".clipzy/incoming"
        return [path.name for path in directory.iterdir()] if directory.exists() else []

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
        """Record that nothing has been lost since Redis was started, as a worker does after its comparison."""
        self.admin.set_reconciled(self.admin.run_id())

    @contextmanager
    def doomed(self, directory: Path, *, at: Failpoint, **settings: str) -> "Iterator[FrontEnd]":
        """Another front end on the same storage and Redis, whose serving process exits at this failpoint."""
        directory.mkdir(parents=True)
        orders = FailpointFile(directory / "failpoint")
        orders.order(at, "exit")
        with running_front_end(
            directory, self.redis_url, storage_path=self.root, **orders.settings, **settings
        ) as other:
            yield other

    def serving_pid(self) -> int:
        """The process that answers, a child of the one that was started."""
        return descendants(self.process.pid)[0]


@contextmanager
def running_redis(directory: Path, *, socket_path: Path | None = None) -> Iterator[RedisServer]:
    server = RedisServer(directory, socket_path=socket_path)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def running_front_end(
    directory: Path, redis_url: str, *, storage_path: Path | None = None, **settings: str
) -> Iterator[FrontEnd]:
    """``clipzy web``, ready. ``settings`` are environment variables."""
    directory.mkdir(parents=True, exist_ok=True)
    port, root = free_port(), storage_path or directory / "storage"
    ours = {"LOCAL_STORAGE_PATH": str(root), "CLIPZY_DATA_DIR": str(directory / "data"), "REDIS_URL": redis_url}
    command = [*CLIPZY, "web", "--host", "127.0.0.1", "--port", str(port)]
    process = Process(command, cwd=directory, env=environment(**{**ours, **settings}), log=directory / "web.log")
    try:
        eventually(lambda: not process.is_running() or _is_ready(port), "a front end that is ready")
        assert process.is_running(), process.output()
        store = JobStore(RedisDatabase(redis_url), lease_seconds=60)
        yield FrontEnd(port, root, LocalStorage(root, shared=False), store, process, redis_url)
    finally:
        process.stop()


@contextmanager
def running_pair(directory: Path, **settings: str) -> Iterator[list[FrontEnd]]:
    """Two front ends of one deployment, on a Redis of their own."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(running_redis(directory / "redis")).url
        yield [
            stack.enter_context(
                running_front_end(directory / name, url, storage_path=directory / "storage", **settings)
            )
            for name in ("first", "second")
        ]


@contextmanager
def without_waiting_jobs(front_end: FrontEnd) -> Iterator[FrontEnd]:
    """The front end, whose waiting jobs are cancelled afterwards."""
    front_end.compare_records()
    yield front_end
    for job in front_end.get("/api/v1/jobs?status=queued").json()["jobs"]:
        assert front_end.post(f"/api/v1/jobs/{job['job_id']}/cancel").status_code == 202


def _is_ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=10).status_code == 200
    except requests.ConnectionError:
        return False
