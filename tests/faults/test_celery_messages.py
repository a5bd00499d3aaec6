"""Messages that are lost, of another version or forged: jobs are finished all the same."""

import base64
import json
import os
import pickle
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.celery_config import PROCESS_JOB
from clipzy_storage.log_events import REAPER_NOTIFIED
from clipzy_storage.models.records import Queue
from tests.support.broker import broker_key
from tests.support.faulty_redis import FaultyRedisDeployment, deployment_on_faulty_redis
from tests.support.log_lines import events_in
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyRedisDeployment]:
    with deployment_on_faulty_redis(tmp_path_factory.mktemp("messages"), JOB_LEASE_SECONDS="2") as deployment:
        yield deployment


def message(body: bytes, *, task: Any = PROCESS_JOB, content_type: str = "application/json", **more: Any) -> str:
    """As Celery puts it into the list."""
    task_id = str(uuid.uuid4())
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8",
            "content-type": content_type,
            "headers": {"lang": "py", "task": task, "id": task_id, "root_id": task_id, "retries": 0},
            "properties": {
                "correlation_id": task_id,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": Queue.INTERACTIVE},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
            **more,
        }
    )


def call(*args: Any, **kwargs: Any) -> bytes:
    return json.dumps([args, kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]).encode()


def no_message_is_left(shared: FaultyRedisDeployment) -> bool:
    url = shared.redis.server.url
    return not shared.redis.server.admin.exists(broker_key(url), broker_key(url, "unacked"))


class RunsCode:
    """What makes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._canary),)


def test_a_message_that_dies_with_its_worker(shared: FaultyRedisDeployment, clip: Path) -> None:
    """Without the reaper's search for lost notifications the job waits for ever."""
    # Given a worker that waits for messages and is frozen
    worker = shared.running_worker()

    def lost() -> str:
        """A job whose message went to the frozen worker; empty where Redis had given up on that one before."""
        eventually(lambda: shared.redis.blocked_clients() == 1, "a worker that waits")
        worker.send(signal.SIGSTOP)
        (job_id,) = shared.submit(clip)
        if shared.redis.queue_length() == 0:
            return job_id
        worker.send(signal.SIGCONT)
        shared.api.finished(job_id)
        return ""

    # When a job is submitted, and the worker is killed with its message in the socket
    job_id = eventually(lost, "a message on its way")
    worker.kill()
    # Then Redis knows nothing of the message any more
    assert no_message_is_left(shared)
    assert shared.api.job(job_id)["status"] == "queued"
    # But the job is done
    successor = shared.running_worker()
    assert shared.outcomes([job_id]) == [("completed", 1)]
    assert events_in(successor.output(), REAPER_NOTIFIED, job_id=job_id)


def test_messages_and_records_of_another_version(shared: FaultyRedisDeployment, clip: Path) -> None:
    """Without the reaper's search for lost notifications the first of these jobs waits for ever."""
    # Given a worker that has no place free, and jobs that wait
    worker, client, queue = shared.running_worker(), shared.redis.server.admin, broker_key(shared.redis.server.url)
    held = shared.held_jobs(clip, count=2)
    renamed, grown, old = waiting = shared.submit(clip, count=3)
    # Of which one is announced under a name that this version does not know
    others = [json.loads(client.rpop(queue)) for _ in waiting]
    others[0]["headers"]["task"] = "clipzy.process_job_better"
    client.lpush(queue, *(json.dumps(other) for other in others))
    # And two have records with more in them than it knows, and with less
    change_record(client, grown, colour="blue")
    change_record(client, old, schema_version=0)
    # When it gets to them
    shared.let_go()
    # Then all are done, and the log names what was not understood
    assert shared.outcomes([*held, *waiting]) == [("completed", 1)] * 5
    assert "clipzy.process_job_better" in worker.output()
    assert events_in(worker.output(), REAPER_NOTIFIED, job_id=renamed)


def change_record(client: Any, job_id: str, **changes: Any) -> None:
    key = f"{keys.REDIS_PREFIX}job:{job_id}"
    client.hset(key, "record", json.dumps(json.loads(client.hget(key, "record")) | changes))


FORGED = {
    "text": "garbage",
    "no-utf-8": b"\xff\xfe\x00garbage",
    "10-MB": b"\0" * 10_000_000,
    "number": "1",
    "list": "[[[]]]",
    "null": "null",
    "object": "{}",
    "no-properties": json.dumps({"body": "", "headers": {}}),
    "body-no-json": message(b"{" * 1000),
    "body-number": message(b"1"),
    "body-10-MB": message(call("j" * 10_000_000)),
    "unknown-encoding": message(call("x"), **{"content-encoding": "rot13"}),
    "unknown-task": message(call("x"), task="clipzy.delete_everything"),
    "built-in-task": message(call([1], [2]), task="celery.map"),
    "task-no-text": message(call("x"), task={"a": 1}),
    "no-arguments": message(call()),
    "many-arguments": message(call("x", "y")),
    "keyword": message(call(job="x")),
    "id-number": message(call(1)),
    "id-list": message(call(["x"])),
    "id-object": message(call({"x": 1})),
    "id-null": message(call(None)),
    "id-empty": message(call("")),
    "id-path": message(call("../../../../etc/passwd")),
    "id-line": message(call("x\r\nFLUSHALL\r\n")),
    "id-nul": message(call("x\0y")),
    "id-glob": message(call("*")),
    "id-surrogate": message(json.dumps([["\ud800"], {}, {}]).encode()),
    "id-unknown": message(call(keys.new_id("job"))),
}


def test_forged_messages(shared: FaultyRedisDeployment, clip: Path, tmp_path: Path) -> None:
    """Without the transport's check of each message the worker exits over the first of these."""
    worker, canary = shared.running_worker(), tmp_path / "canary"
    claims, known = shared.claims(), set(shared.redis.server.admin.keys(keys.REDIS_PREFIX + "*"))
    # Given a queue full of messages that no process of ours has sent
    pickled = pickle.dumps(((RunsCode(canary),), {}, {}))
    forged = [*FORGED.values(), message(pickled, content_type="application/x-python-serialize")]
    for one in forged:
        shared.redis.server.admin.lpush(broker_key(shared.redis.server.url), one)
    # When a job is submitted after all of that
    (job_id,) = shared.submit(clip)
    # Then it is done by the same worker
    assert shared.outcomes([job_id]) == [("completed", 1)]
    assert worker.is_running()
    assert no_message_is_left(shared)
    # And nothing came of the rest: no code was run, no job was begun, no record was made
    assert not canary.exists()
    assert shared.claims() == claims + 1
    made = set(shared.redis.server.admin.keys(keys.REDIS_PREFIX + "*")) - known
    assert [key for key in made if "job:" in key and job_id not in key] == []


def test_everything_but_the_job_id_of_a_message_is_ignored(shared: FaultyRedisDeployment, clip: Path) -> None:
    """Taken over, a time limit kills the pool process, and ``eta`` or ``expires`` lose the message."""
    worker, client, queue = shared.running_worker(), shared.redis.server.admin, broker_key(shared.redis.server.url)
    # Given a job that waits behind others, and a message about it that asks for more than the job
    shared.held_jobs(clip, count=2)
    (job_id,) = shared.submit(clip)
    found = json.loads(client.rpop(queue))
    found["headers"] |= {
        "timelimit": [0.001, 0.001],
        "eta": "2100-01-01T00:00:00+00:00",
        "expires": "2000-01-01T00:00:00+00:00",
        "retries": 99,
        "shadow": "clipzy.another_name",
        "group": "group",
        "ignore_result": False,
    }
    found["properties"] |= {
        "reply_to": "results",
        "priority": 9,
        "delivery_tag": "a-tag",
        "delivery_info": {"exchange": "celeryev", "routing_key": "elsewhere"},
    }
    follow_up = {"task": PROCESS_JOB, "args": [job_id], "kwargs": {}, "options": {}}
    follow_ups = {"callbacks": [follow_up], "errbacks": [follow_up], "chain": [follow_up], "chord": follow_up}
    found["body"] = base64.b64encode(json.dumps([[job_id], {"more": 1}, follow_ups]).encode()).decode()
    client.lpush(queue, json.dumps(found))
    # When the worker gets to it
    shared.let_go()
    # Then the job is done at its first attempt, and nothing followed from the rest
    assert shared.outcomes([job_id]) == [("completed", 1)]
    assert worker.is_running()
    output = worker.output()
    assert shared.claims(job_id) == 1
    assert f"{REAPER_NOTIFIED}: {job_id}" not in output
    for word in ("another_name", "a-tag", "limit (", "Traceback"):
        assert word not in output
    assert no_message_is_left(shared)
