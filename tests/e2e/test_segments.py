"""A long rendering outlives its worker: the next one goes on with the segments that are finished."""

import signal
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from clipzy_storage import keys
from clipzy_storage.log_events import SEGMENT_FETCHED, SEGMENT_RENDERED
from tests.support.api_client import ApiClient
from tests.support.deployment import SHORT_LEASE, Deployment
from tests.support.log_lines import events_in
from tests.support.media.clips import ffmpeg
from tests.support.processes import Process, hold_media_process
from tests.support.waiting import eventually

SEGMENTS, SECONDS, RATE = 3, 180, 24
CONFIG = {
    "analyses": ["color"],
    "thumbnails": {"per": "none"},
    "sprites": False,
    "render": {"frame_rate": RATE, "quality": "draft"},
}


@pytest.fixture
def deployment(tmp_path: Path, redis_url: str) -> Iterator[Deployment]:
    with Deployment(tmp_path / "deployment", redis_url=redis_url, **SHORT_LEASE) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Quick to analyse, and of three segments."""
    path = tmp_path_factory.mktemp("segments") / "video.mp4"
    graph = f"testsrc2=size=240x136:rate=2,trim=duration={SECONDS}"
    ffmpeg("-f", "lavfi", "-i", graph, "-preset", "ultrafast", "-pix_fmt", "yuv420p", str(path))
    return path


def submitted(api: ApiClient, video: Path) -> str:
    video_id = api.upload(video, to="/videos")["video_id"]
    return str(api.post("/jobs", json={"video_id": video_id, "config": CONFIG}).json()["job_id"])


def held_in_the_middle(deployment: Deployment, worker: Process, job_id: str, *, finished: int) -> list[str]:
    """Stop the media process once so many segments are finished: their names, when they are stored."""
    scratch = deployment.work_dir
    begun = f"{job_id}-*/out/segments/*.mp4"
    eventually(lambda: len(list(scratch.glob(begun))) > finished, "the segment after these")
    hold_media_process(worker.pid)
    return (
        eventually(
            lambda: names if len(names := stored(deployment, job_id)) >= finished else None, "segments in storage"
        )
        or []
    )


def stored(deployment: Deployment, job_id: str) -> list[str]:
    found = (deployment.storage / keys.segments(job_id)).glob("*.mp4")
    return sorted(segment.name for path in found if (segment := keys.segment_in(f"{keys.segments(job_id)}{path.name}")))


def rendered_by(worker: Process) -> list[str]:
    return [line.fields.partition("name=")[2].split()[0] for line in events_in(worker.output(), SEGMENT_RENDERED)]


def nothing_is_left(deployment: Deployment) -> None:
    assert list((deployment.storage / keys.SEGMENTS).iterdir()) == []


def whole(deployment: Deployment, api: ApiClient, job_id: str) -> None:
    """The rendered video has every picture."""
    output = api.get(f"/jobs/{job_id}/result").json()
    assert output["render"]["frames"] == SECONDS * RATE
    (rendered,) = (artifact for artifact in output["artifacts"] if artifact["kind"] == "render")
    with av.open(str(deployment.storage / rendered["key"])) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) == SECONDS * RATE


def test_after_a_kill_the_next_worker_renders_what_is_missing(
    deployment: Deployment, api: ApiClient, video: Path
) -> None:
    """Without the fetching of segments the second worker renders all of them again."""
    # Given a worker that is killed in the middle of a rendering
    killed = deployment.worker()
    job_id = submitted(api, video)
    finished = held_in_the_middle(deployment, killed, job_id, finished=1)
    killed.kill()
    # When another one takes the job
    worker = deployment.worker()
    job = api.finished(job_id)
    # Then it has rendered only what was missing, the video is whole, and no segment is left
    assert (job["status"], job["attempt"]) == ("completed", 2)
    assert len(events_in(worker.output(), SEGMENT_FETCHED, count=len(finished))) == 1
    assert len(finished + rendered_by(worker)) == SEGMENTS
    assert not set(finished) & set(rendered_by(worker))
    whole(deployment, api, job_id)
    eventually(lambda: not list((deployment.storage / "jobs/open").iterdir()), "an empty jobs/open")
    nothing_is_left(deployment)


@pytest.mark.long
def test_a_stopped_worker_leaves_its_segments_and_a_cancelled_job_does_not(
    deployment: Deployment, api: ApiClient, video: Path
) -> None:
    # Given a worker that is stopped in the middle of a rendering
    stopped = deployment.worker(JOB_LEASE_SECONDS="60")
    job_id = submitted(api, video)
    finished = held_in_the_middle(deployment, stopped, job_id, finished=1)
    stopped.send(signal.SIGTERM)
    assert stopped.wait() == 0
    assert stored(deployment, job_id) == finished
    # When the next one goes on, then with the segment after these
    worker = deployment.worker()
    more = held_in_the_middle(deployment, worker, job_id, finished=len(finished) + 1)
    assert rendered_by(worker) == more[len(finished) :]
    # And when the job is cancelled, then nothing is left of it
    assert api.post(f"/jobs/{job_id}/cancel").status_code == 202
    assert api.finished(job_id)["status"] == "cancelled"
    eventually(lambda: not list((deployment.storage / "jobs/open").iterdir()), "an empty jobs/open")
    nothing_is_left(deployment)
