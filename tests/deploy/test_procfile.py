"""honcho with the Procfile, and a Redis: it starts, works and stops without losing a job."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import redis
import requests

from clipzy_storage import keys
from clipzy_storage.process import with_parent_death_signal
from tests.support.api_client import ApiClient
from tests.support.broker import broker_key
from tests.support.nginx import running_nginx
from tests.support.processes import free_port, media_process_below
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

PROCFILE = Path(__file__).parents[2] / "Procfile"
SCRIPTS = Path(sys.executable).parent
HONCHO_KILLS_AFTER_SECONDS = 5


class Honcho:
    """A running `honcho start`, and its output."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, *, port: int, flower_port: int) -> None:
        self.process = process
        self.port = port
        self.api = ApiClient(f"http://127.0.0.1:{port}")
        self.flower_url = f"http://127.0.0.1:{flower_port}"
        self._log = log

    def output(self) -> str:
        return self._log.read_text()

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.output()
        return self.api.is_ready() and "worker.ready" in self.output() and "flower.ready" in self.output()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(HONCHO_KILLS_AFTER_SECONDS + 5)


@contextmanager
def honcho(directory: Path, redis_url: str) -> Iterator[Honcho]:
    """The Procfile, with a free port for Flower."""
    port, flower_port = free_port(), free_port()
    procfile = directory / "Procfile"
    procfile.write_text(PROCFILE.read_text().replace("clipzy flower", f"clipzy flower --port {flower_port}"))
    env = {
        "PATH": os.pathsep.join((str(SCRIPTS), os.environ["PATH"])),
        "REDIS_URL": redis_url,
        "FLOWER_BASIC_AUTH": "watcher:secret",
        "PORT": str(port),
    }
    log = directory / "honcho.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            with_parent_death_signal(str(SCRIPTS / "honcho"), "start", "-f", str(procfile)),
            cwd=directory,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    running = Honcho(process, log, port=port, flower_port=flower_port)
    try:
        eventually(running.is_up, "everything that the Procfile starts")
        yield running
    finally:
        running.api.close()
        if process.poll() is None:
            running.stop()


def test_the_procfile_starts_works_and_stops_without_losing_a_job(
    tmp_path: Path, own_redis: RedisServer, clip: Path, long_clip: Path
) -> None:
    with honcho(tmp_path, own_redis.url) as running:
        # Given a job completed through nginx and shown by Flower
        with running_nginx(tmp_path / "nginx", upstream_port=running.port, max_file_size_mb=100) as nginx:
            done = _job_through(nginx.url, clip)
        eventually(lambda: _flower_knows(running, done["job_id"]), "the job in Flower")

        # When everything is stopped while another job is processed, by a media process that hangs
        job_id = running.api.upload(long_clip)["job_id"]
        running.api.working(job_id)
        media_process = media_process_below(running.process.pid)
        os.kill(media_process, signal.SIGSTOP)  # or the job might complete before the worker stops
        running.stop()

        # Then honcho did not have to kill a process, and none is left
        assert "SIGKILL" not in running.output()
        assert not Path(f"/proc/{media_process}").exists()
        assert "Traceback" not in running.output()

    # And the job is queued again, with a notification for the next worker
    with redis.Redis.from_url(own_redis.url, decode_responses=True) as client:
        record = client.hgetall(f"{keys.REDIS_PREFIX}job:{job_id}")
        assert (record["state"], record["preempted"]) == ("queued", "1")
        assert client.llen(broker_key(own_redis.url)) == 1


def _job_through(url: str, clip: Path) -> Any:
    """A completed job, whose poster was also read in part."""
    with closing(ApiClient(url)) as api:
        done = api.finished(api.upload(clip)["job_id"])
        assert done["status"] == "completed"
        whole = api.get(f"/jobs/{done['job_id']}/files/poster.jpg")
        piece = api.get(f"/jobs/{done['job_id']}/files/poster.jpg", headers={"Range": "bytes=10-19"})
        assert (piece.status_code, piece.content) == (206, whole.content[10:20])
        seen = {"If-None-Match": api.get(f"/jobs/{done['job_id']}").headers["ETag"]}
        assert api.get(f"/jobs/{done['job_id']}", headers=seen).status_code == 304
    return done


def _flower_knows(running: Honcho, job_id: str) -> bool:
    answer = requests.get(running.flower_url + "/api/tasks", auth=("watcher", "secret"), timeout=10)
    return any(job_id in task["args"] and task["state"] == "SUCCESS" for task in answer.json().values())


def test_without_a_password_for_flower_honcho_exits_with_the_reason(tmp_path: Path, own_redis: RedisServer) -> None:
    env = {"PATH": os.pathsep.join((str(SCRIPTS), os.environ["PATH"])), "REDIS_URL": own_redis.url}
    done = subprocess.run(
        [SCRIPTS / "honcho", "start", "-f", PROCFILE, "flower"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert "FLOWER_BASIC_AUTH is missing" in done.stdout
