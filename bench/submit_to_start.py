"""From a client's request to the worker's first step, against a bare Celery task on the same Redis."""

import http.client
import json
import statistics
import time
from datetime import datetime
from pathlib import Path

import redis
from celery import Celery

from bench.bare_celery import start_bare_celery
from tests.support.api_client import ApiClient
from tests.support.deployment import Deployment
from tests.support.media import clips
from tests.support.waiting import eventually

REPETITIONS = 25
AIM = 2.0
STARTED = "bare:started"


def compare(directory: Path, *, redis_url: str) -> bool:
    """Measure and print; whether the aim was reached."""
    with Deployment(directory, redis_url=redis_url) as deployment, redis.Redis.from_url(redis_url) as client:
        api = deployment.web()
        deployment.worker()
        video_id = api.upload(clips.cuts_clip(directory).path, to="/videos")["video_id"]
        connection = http.client.HTTPConnection(api.url.removeprefix("http://"))
        bare = start_bare_celery(directory, redis_url)
        try:
            app = Celery("bare", broker=redis_url, set_as_current=False)
            app.conf.update(task_ignore_result=True, broker_transport_options={"global_keyprefix": "bare:mq:"})
            _bare_ms(app, client)
            _clipzy_ms(api, connection, video_id)
            pairs = [(_clipzy_ms(api, connection, video_id), _bare_ms(app, client)) for _ in range(REPETITIONS)]
        finally:
            bare.stop()
            connection.close()
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"\nSubmit to start, median of {REPETITIONS}:")
    print(f"  Clipzy, POST /jobs to started_at  {ours:7.1f} ms")
    print(f"  bare Celery, delay() to the task  {theirs:7.1f} ms")
    print(f"  ratio {ours / theirs:.2f} (aim: at most {AIM:g})")
    return bool(ours / theirs <= AIM)


def _clipzy_ms(api: ApiClient, connection: http.client.HTTPConnection, video_id: str) -> float:
    begun = time.time()
    connection.request(
        "POST",
        "/api/v1/jobs",
        json.dumps({"video_id": video_id, "config": {"reuse": False}}),
        {"Content-Type": "application/json"},
    )
    job_id = json.loads(connection.getresponse().read())["job_id"]
    started = datetime.fromisoformat(api.finished(job_id)["started_at"])
    return (started.timestamp() - begun) * 1000


def _bare_ms(app: Celery, client: "redis.Redis") -> float:
    begun = time.time()
    app.send_task("bare.note_the_time")
    started = eventually(lambda: client.lpop(STARTED), "the bare task")
    return (float(started) - begun) * 1000  # type: ignore[arg-type]
