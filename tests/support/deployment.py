"""A whole deployment of real processes, started and stopped by one test, and a client for its API."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import requests

from clipzy_storage.process import with_parent_death_signal

PATIENCE_SECONDS = 90
T = TypeVar("T")
CLIPZY = (sys.executable, "-m", "clipzy_api.cli")


def eventually(ask: Callable[[], T], what: str, *, seconds: float = PATIENCE_SECONDS) -> T:
    """The first true answer of ``ask``; fails with ``what`` was waited for when patience runs out."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.02)
    return answer


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def with_config(sent: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """The same submission, as ``requests`` takes it, with these options too: a form or JSON."""
    if "json" in sent:
        return sent | {"json": sent["json"] | {"config": config | sent["json"].get("config", {})}}
    given = json.loads(sent.get("data", {}).get("config", "{}"))
    return sent | {"data": sent.get("data", {}) | {"config": json.dumps(config | given)}}


class Process:
    """One `clipzy` command, its output in a file."""

    def __init__(
        self, *arguments: str, cwd: Path, env: dict[str, str], log: Path, command: Sequence[str] = CLIPZY
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                with_parent_death_signal(*command, *arguments),
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def output(self) -> str:
        return self.log.read_text()

    def says(self, text: str) -> Self:
        eventually(lambda: text in self.output() or self.popen.poll() is not None, f"{text!r} in {self.log}")
        assert text in self.output(), self.output()
        return self

    def ends(self) -> int:
        """Its exit status, once it has ended by itself."""
        return self.popen.wait(PATIENCE_SECONDS)

    def send(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def stop(self) -> int:
        with contextlib.suppress(ProcessLookupError):
            self.send(signal.SIGTERM)
        try:
            return self.popen.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL to the process alone, as an out-of-memory killer would."""
        self.send(signal.SIGKILL)
        self.popen.wait()


class Api:
    """A client that knows the base path and how to wait."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.http.get(self._address(path), **{"timeout": 30, **more})

    def post(self, path: str, *, reuse: bool = False, **more: Any) -> requests.Response:
        """Jobs are really worked on unless ``reuse`` lets them have the result of an earlier one.

        Nor is more analysed than shots unless the ``config`` names it: most tests are about the way of a job.
        """
        if path == "/jobs":
            more = with_config(more, {"reuse": reuse, "analyses": [], "sprites": False})
        return self.http.post(self._address(path), timeout=60, **more)

    def is_reachable(self) -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return self.get("/healthz").ok
        return False

    def is_ready(self) -> bool:
        return self.is_reachable() and self.get("/readyz").ok

    def upload(self, path: Path, *, to: str = "/jobs", name: str | None = None, reuse: bool = False) -> Any:
        with path.open("rb") as stream:
            answer = self.post(to, reuse=reuse, files={"file": (name or path.name, stream)})
        assert answer.ok, answer.text
        return answer.json()

    def job(self, job_id: str) -> Any:
        return self.get(f"/jobs/{job_id}").json()

    def finished(self, job_id: str) -> Any:
        return eventually(
            lambda: (job := self.job(job_id))["status"] in ("completed", "failed", "cancelled") and job,
            f"the end of {job_id}",
        )

    def working(self, job_id: str, *, percent: int = 1) -> Any:
        """The job, once its footage is being processed for real."""
        return eventually(
            lambda: (job := self.job(job_id))["progress_percent"] >= percent and job, f"progress of {job_id}"
        )

    def close(self) -> None:
        self.http.close()

    def _address(self, path: str) -> str:
        return self.url + ("" if path in ("/healthz", "/readyz") or path.startswith("/storage/") else "/api/v1") + path


class Stack:
    """Processes that share one folder, one Redis and the settings given."""

    command: Sequence[str] = CLIPZY

    def __init__(self, folder: Path, *, redis_url: str | None, **settings: str) -> None:
        self.folder = folder
        self.settings = {"LOG_LEVEL": "INFO"} | settings
        if redis_url is not None:
            self.settings["REDIS_URL"] = redis_url
        self.processes: list[Process] = []
        self._apis: list[Api] = []

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for api in self._apis:
            api.close()
        for process in reversed(self.processes):
            process.stop()

    def run(self, *arguments: str, cwd: Path | None = None, settings: Mapping[str, str] | None = None) -> Process:
        log = self.folder / f"{arguments[0]}-{len(self.processes)}.log"
        env = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **self.settings, **(settings or {})}
        process = Process(*arguments, cwd=cwd or self.folder, env=env, log=log, command=self.command)
        self.processes.append(process)
        return process

    def web(self, **settings: str) -> Api:
        """A front end that accepts jobs."""
        api = self.api(free_port())
        self.run("web", "--port", api.url.rpartition(":")[2], settings=settings)
        eventually(lambda: api.is_ready(), "a front end that is ready")
        return api

    def worker(self, **settings: str) -> Process:
        """A worker that takes jobs."""
        return self.run("worker", settings=settings).says("worker.ready")

    def api(self, port: int) -> Api:
        api = Api(f"http://127.0.0.1:{port}")
        self._apis.append(api)
        return api

    @property
    def storage(self) -> Path:
        return self.folder / "storage"

    def stored(self) -> list[str]:
        """Keys of all complete files."""
        return sorted(
            str(path.relative_to(self.storage))
            for path in self.storage.rglob("*")
            if path.is_file() and ".clipzy" not in path.relative_to(self.storage).parts
        )


def descendants(pid: int) -> list[int]:
    """All processes below ``pid``, by the kernel's own table."""
    children = [int(child) for task in _tasks(pid) for child in task.split()]
    return children + [below for child in children for below in descendants(child)]


def commands_below(pid: int) -> dict[int, str]:
    return {child: command for child in descendants(pid) if (command := _command(child))}


def media_process_below(pid: int) -> int:
    """The process that decodes, once there is one."""
    return eventually(
        lambda: next((child for child, line in commands_below(pid).items() if "clipzy_worker.analysis" in line), 0),
        "a media process",
    )


def _tasks(pid: int) -> Iterator[str]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            yield task.read_text()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
