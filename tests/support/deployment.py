"""A whole deployment of real processes, started and stopped by one test."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Self

from clipzy_storage import keys
from clipzy_storage.failpoints import Failpoint
from clipzy_storage.log_events import JOB_CLAIMED, WORKER_READY
from tests.support.api_client import ApiClient
from tests.support.failpoint_file import FailpointFile
from tests.support.log_lines import events_in
from tests.support.processes import CLIPZY, Process, environment, free_port
from tests.support.s3_servers import S3Server
from tests.support.servers import running_redis
from tests.support.waiting import eventually

SHORT_LEASE = {"JOB_LEASE_SECONDS": "2"}
WAYS_OUT = ("run one worker", "LOCAL_STORAGE_SHARED=true", "STORAGE_TYPE=s3")
"""What a refusal of a second process on undeclared local storage advises."""
_READY = "Clipzy is ready at "
_numbers = itertools.count()


class Deployment:
    """Processes that share one directory, one Redis and the ``settings`` given. They are stopped with the ``with``.

    Without a ``redis_url``, `clipzy up` brings its own.
    """

    command: Sequence[str] = CLIPZY

    def __init__(self, directory: Path, *, redis_url: str | None, **settings: str) -> None:
        self.directory = directory
        self.settings = {"LOG_LEVEL": "INFO"} | settings
        if redis_url is not None:
            self.settings["REDIS_URL"] = redis_url
        self.processes: list[Process] = []
        self._clients: list[ApiClient] = []

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()
        for process in reversed(self.processes):
            process.stop()

    def more(self) -> "Deployment":
        """Further processes of the same deployment, which are stopped before the others."""
        return Deployment(self.directory, redis_url=None, **self.settings)

    def run(self, *arguments: str, cwd: Path | None = None, settings: Mapping[str, str] | None = None) -> Process:
        """Start a `clipzy` command."""
        log = self.directory / f"{arguments[0]}-{next(_numbers)}.log"
        env = environment(**{**self.settings, **(settings or {})})
        process = Process([*self.command, *arguments], cwd=cwd or self.directory, env=env, log=log)
        self.processes.append(process)
        return process

    def web(self, **settings: str) -> ApiClient:
        """A client of a new front end that accepts jobs."""
        client = self.client(free_port())
        self.run("web", "--port", str(client.port), settings=settings)
        eventually(client.is_ready, "a front end that is ready")
        return client

    def worker(self, **settings: str) -> Process:
        """A new worker that consumes."""
        return self.run("worker", settings=settings).wait_for_log(WORKER_READY)

    def worker_with_failpoints(self, **settings: str) -> tuple[Process, FailpointFile]:
        """A new worker, and the file that its failpoints obey."""
        orders = FailpointFile(self.directory / f"failpoints-{next(_numbers)}")
        return self.worker(**orders.settings, **settings), orders

    def worker_paused_at(self, failpoint: Failpoint, **settings: str) -> tuple[Process, FailpointFile]:
        """A new worker whose jobs pause at ``failpoint`` until the order is withdrawn."""
        worker, orders = self.worker_with_failpoints(**settings)
        orders.order(failpoint, "pause")
        return worker, orders

    def up(self, **settings: str) -> tuple[Process, ApiClient]:
        """The whole service as `clipzy up`, ready, and a client of it."""
        service = self.run("up", "--port", "0", settings=settings).wait_for_log(_READY)
        url = service.output().rpartition(_READY)[2].split()[0]
        return service, self.client(int(url.rpartition(":")[2]))

    def client(self, port: int) -> ApiClient:
        client = ApiClient(f"http://127.0.0.1:{port}")
        self._clients.append(client)
        return client

    @property
    def storage(self) -> Path:
        return self.directory / "storage"

    @property
    def work_dir(self) -> Path:
        return self.directory / ".clipzy" / "work"

    def stored(self) -> list[str]:
        """Keys of all complete files."""
        return sorted(
            str(path.relative_to(self.storage))
            for path in self.storage.rglob("*")
            if path.is_file() and ".clipzy" not in path.relative_to(self.storage).parts
        )

    def stored_of(self, job_id: str) -> list[str]:
        """Keys of all complete files of a job but its entry in the day index."""
        return [key for key in self.stored() if job_id in key and not key.startswith(keys.DAY_INDEX)]


@contextmanager
def on_own_redis(directory: Path, **settings: str) -> Iterator[Deployment]:
    """A deployment on a Redis of its own, for the tests of a module."""
    with (
        running_redis(directory / "redis") as server,
        Deployment(directory / "deployment", redis_url=server.url, **settings) as deployment,
    ):
        yield deployment


def s3_settings(server: S3Server, bucket: str) -> dict[str, str]:
    """Settings of several workers on a bucket."""
    return {"STORAGE_TYPE": "s3", "S3_BUCKET_NAME": bucket, "WORKER_COUNT": "2", **server.env}


def log_times(process: Process, event: str, **fields: object) -> list[datetime]:
    """When the process logged the event with these fields."""
    return [line.at for line in events_in(process.output(), event, **fields)]


def claims_by(process: Process, job_id: str = "") -> int:
    """How often the process claimed the job, or any."""
    return len(log_times(process, JOB_CLAIMED, **({"job_id": job_id} if job_id else {})))


def refused(process: Process, *texts: str) -> str:
    """The one message with which it exited with status 78, without a traceback; it contains all ``texts``."""
    assert process.wait() == 78, process.output()
    messages = [line for line in process.output().splitlines() if line.startswith("clipzy: ")]
    assert len(set(messages)) == 1, process.output()  # each of the processes of `up` may say it
    for text in texts:
        assert text in messages[0], messages[0]
    assert "Traceback" not in process.output()
    return messages[0]
