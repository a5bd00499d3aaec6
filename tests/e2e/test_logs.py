"""The logs of a whole deployment: every line can be read by a program, and a request is found wherever it went."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.app import defaults

from clipzy_storage.log_events import JOB_CLAIMED, JOB_COMPLETED, JOB_SUBMITTED, SUPERVISOR_READY, SUPERVISOR_RESTARTING
from tests.support.broker import broker_key
from tests.support.deployment import SHORT_LEASE, Deployment
from tests.support.processes import Process, clipzy, commands_below, hold_media_process
from tests.support.servers import RedisServer, running_redis
from tests.support.waiting import eventually

REQUEST_ID = "story-1.2:3"


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "redis") as server:
        yield server


def events_of(process: Process) -> list[Any]:
    """Everything that it and its children wrote; fails if a line is no JSON object."""
    return [json.loads(line) for line in process.output().splitlines()]


def of_kind(process: Process, event: str) -> list[Any]:
    return [line for line in events_of(process) if line["event"] == event]


def process_below(process: Process, argument: str) -> int:
    """The uppermost process with this argument."""
    return eventually(lambda: next((pid for pid, line in commands_below(process.pid).items() if argument in line), 0))


def test_a_request_is_found_in_every_process_that_it_went_through(
    tmp_path: Path, own_redis: RedisServer, clip: Path
) -> None:
    with Deployment(tmp_path / "up", redis_url=own_redis.url, **SHORT_LEASE) as deployment:
        # Given the whole service, which logs everything as JSON
        service = deployment.run("up", "--port", "0", settings={"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG"})
        (ready,) = eventually(lambda: of_kind(service, SUPERVISOR_READY), "a service that is ready")
        api = deployment.client(int(ready["url"].rpartition(":")[2]))
        # And a job at work, submitted under an id of the client's
        with clip.open("rb") as stream:
            sent = api.post("/jobs", files={"file": stream}, headers={"X-Request-ID": REQUEST_ID})
        hold_media_process(service.pid)
        # When its worker is killed, and then the serving process; and a foreign message is in the queue
        own_redis.admin.lpush(broker_key(own_redis.url), json.dumps({"body": "?"}))
        os.kill(process_below(service, "clipzy_worker"), signal.SIGKILL)
        job_id = sent.json()["job_id"]
        assert api.finished(job_id)["attempt"] == 2
        claims = eventually(lambda: of_kind(service, JOB_CLAIMED), "claims")
        os.kill(of_kind(service, JOB_SUBMITTED)[0]["pid"], signal.SIGKILL)
        eventually(lambda: [line for line in events_of(service) if line["logger"] == "_granian"], "a line of granian")
        service.stop()

        # Then the job's events have all that a search needs, and so does that of its rescue
        assert [claim["attempt"] for claim in claims] == [1, 2]
        (completed,) = of_kind(service, JOB_COMPLETED)
        (requeued,) = of_kind(service, "reaper.requeued")
        for event in (*claims, completed, requeued):
            assert (event["job_id"], event["request_id"]) == (job_id, REQUEST_ID)
            assert event["worker"]
            assert event["pid"]
        assert len({claim["worker"] for claim in claims}) == 2
        assert requeued["attempt"] == 1
        # And so do those of the front end
        (request,) = [line for line in of_kind(service, "http.request") if line["request_id"] == REQUEST_ID]
        assert request["status"] == 202
        # And the supervisor, Celery and all others wrote JSON objects too
        (restart,) = [line for line in of_kind(service, SUPERVISOR_RESTARTING) if line["child"] == "worker 1"]
        assert restart["ended_with"] == "SIGKILL"
        assert ready["message"].startswith(f"Clipzy is ready at {ready['url']} (web page")
        assert {line["logger"].partition(".")[0] for line in events_of(service)} >= {"celery", "clipzy", "_granian"}


@pytest.mark.parametrize("command", [["up"], ["web"], ["worker"], ["flower"], ["recover"]])
def test_a_refusal_is_a_json_object_too(tmp_path: Path, command: list[str]) -> None:
    # When a command has wrong settings
    settings = {"LOG_FORMAT": "json", "MAX_FILE_SIZE_MB": "much", "LOG_LEVEL": "loud"}
    ended = clipzy(*command, cwd=tmp_path, **settings)
    # Then each is reported in one JSON object
    assert ended.returncode == 78
    problems = [json.loads(line)["problem"].partition("=")[0] for line in ended.stderr.splitlines()]
    assert problems == ["MAX_FILE_SIZE_MB", "LOG_LEVEL"]
    assert ended.stdout == ""


def test_no_advice_is_given_about_settings_that_clipzy_does_not_have(
    tmp_path: Path, own_redis: RedisServer, clip: Path
) -> None:
    """Celery warns about options of its own: at the start, as root, and when the broker is lost under a job."""
    with Deployment(tmp_path / "deployment", redis_url=own_redis.url) as deployment:
        # Given a front end, and a worker at work
        api, worker = deployment.web(LOG_LEVEL="DEBUG"), deployment.worker(LOG_LEVEL="DEBUG")
        job_id = api.upload(clip)["job_id"]
        media = hold_media_process(worker.pid)
        # When the connection to the broker is lost, and the job goes on
        own_redis.cut_clients()
        worker.wait_for_log("Connection to broker lost")
        os.kill(media, signal.SIGCONT)
        assert api.finished(job_id)["status"] == "completed"
        worker.stop()
        # Then no log names a setting of Celery, or an option
        output = "".join(process.output() for process in deployment.processes)
        names = {name.lower() for name in defaults.SETTING_KEYS}
        assert [name for name in names if "_" in name and name in output] == []
        assert " --" not in output
        assert "superuser" not in output
