"""Jobs that ask for too much work or too many bytes: they fail at once and for good, and leave nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import shared_front_end
from tests.support.api_client import ApiClient
from tests.support.deployment import Deployment, on_own_redis
from tests.support.media import clips
from tests.support.waiting import eventually

LARGE_FRAMES = ("color=size=3840x2160:rate=25:duration=1", "23", 5)
DETAILED = ("testsrc2=size=1280x720:rate=2:duration=30", "51", 1)
LONG = ("color=size=1280x720:rate=2:duration=60", "51", 1)
MANY_IMAGES = {"thumbnails": {"per": "interval", "interval_seconds": 0.5, "width": 1280}}

api, deployment = shared_front_end.api, shared_front_end.deployment


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with on_own_redis(tmp_path_factory.mktemp("bounded-work")) as deployment:
        yield deployment


@pytest.mark.parametrize(
    ("video", "setting", "config", "code", "text"),
    [
        (LARGE_FRAMES, "MAX_VIDEO_TERAPIXELS=0.001", {}, "INVALID_MEDIA", "claims 125 frames of 3840x2160"),
        (DETAILED, "MAX_RESULT_MB=1", MANY_IMAGES, "RESULT_TOO_LARGE", "The result is larger"),
        (LONG, "MAX_RESULT_MB=1", MANY_IMAGES, "RESULT_TOO_LARGE", "would be at least"),
    ],
    ids=["too much to decode", "too much written", "too much asked for"],
)
def test_a_job_over_a_limit_fails_for_good(
    deployment: Deployment,
    api: ApiClient,
    tmp_path: Path,
    video: tuple[str, str, int],
    setting: str,
    config: dict[str, Any],
    code: str,
    text: str,
) -> None:
    # Given a worker with a low limit
    name, _, value = setting.partition("=")
    worker = deployment.worker(**{name: value})
    graph, quality, times = video
    once, path = tmp_path / "once.mp4", tmp_path / "video.mp4"
    coded = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", quality, "-pix_fmt", "yuv420p")
    clips.ffmpeg("-f", "lavfi", "-i", graph, *coded, str(once))
    clips.ffmpeg("-stream_loop", str(times - 1), "-i", str(once), "-c", "copy", str(path))
    # When a job exceeds it
    video_id = api.upload(path, to="/videos")["video_id"]
    job_id = api.post("/jobs", json={"video_id": video_id, "config": config}).json()["job_id"]
    job = api.finished(job_id)
    # Then it fails in its first attempt, with the setting's name
    assert (job["status"], job["attempt"], job["error"]["code"]) == ("failed", 1, code)
    assert text in job["error"]["message"]
    assert f"({name})" in job["error"]["message"]
    answer = api.get(f"/jobs/{job_id}/result")
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    # And nothing of it is left but its record: the open one goes once the job is seen to have finished
    eventually(lambda: deployment.stored_of(job_id) == [f"jobs/done/{job_id}.json"], "no files")
    assert not list(deployment.work_dir.glob(f"{job_id}*"))
    # And the worker does the next one
    assert api.run(clips.cuts_clip(tmp_path, sound=False).path)["status"] == "completed"
    assert worker.is_running()
