"""How a worker fetches the video of a job, and what it leaves in storage, in the records and in the owner's account."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageBackend, put_bytes, read_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_storage.errors import LostJob
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.owner_limits import OwnerLimits
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.records import EVERYONE, ErrorCode, Job, Status
from clipzy_storage.redis_client import RedisDatabase
from clipzy_worker.errors import ImportFailed, JobFailed
from clipzy_worker.processing import attempt
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.processing.lease import LeaseRenewer
from clipzy_worker.processing.source_import import imported
from tests.support.finished_jobs import accepted, result_of
from tests.support.forms import mp4_bytes
from tests.support.jobs import current, noting
from tests.support.s3_servers import S3Server
from tests.support.video_server import File, VideoServer, running_video_server

CONTENT = mp4_bytes(300_000)
SETTINGS = {"ALLOW_URL_IMPORT": "true", "ALLOW_PRIVATE_ADDRESSES": "127.0.0.1/32"}


@pytest.fixture(params=["local", "moto"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StorageBackend:
    """A storage of either kind, prepared and empty."""
    found: StorageBackend = LocalStorage(tmp_path / "storage", shared=False)
    if request.param != "local":
        s3: S3Server = request.getfixturevalue(f"{request.param}_server")
        for name, value in s3.env.items():
            monkeypatch.setenv(name, value)
        found = S3Storage(s3.new_bucket())
    found.prepare()
    return found


@pytest.fixture
def server() -> Iterator[VideoServer]:
    with running_video_server() as server:
        server.pages["/v.mp4"] = File(CONTENT)
        yield server


@pytest.fixture
def make_ctx(make_settings: Any, storage: StorageBackend, redis_url: str) -> Any:
    def make(**given: str) -> WorkerContext:
        redis, settings = RedisDatabase(redis_url), make_settings(**SETTINGS | given)
        store = JobStore(redis, lease_seconds=60, limits=OwnerLimits.of(settings))
        return WorkerContext(
            settings=settings,
            storage=storage,
            storage_id=storage.prepare(),
            store=store,
            admin=JobAdmin(redis),
            leases=LeaseRenewer(store),
            notify_workers=noting([]),
        )

    return make


@pytest.fixture
def ctx(make_ctx: Any) -> Any:
    return make_ctx()


def new_import(ctx: WorkerContext, url: str, **changes: Any) -> Job:
    unknown: dict[str, Any] = dict.fromkeys(("source_key", "source_size_bytes", "source_sha256", "source_container"))
    return accepted(ctx.store, ctx.storage, source_url=url, **unknown | changes)


def stored_bytes(ctx: WorkerContext) -> int:
    return ctx.store.accounts.usage(EVERYONE).stored_bytes


def files(ctx: WorkerContext) -> list[str]:
    """The keys of all videos, and how many files are unfinished."""
    unfinished = ctx.storage.count_incomplete()
    return [blob.key for blob in ctx.storage.list("uploads/")] + ["unfinished"] * unfinished


def never(_fraction: float) -> None:
    pass


def test_what_is_fetched_becomes_the_video_of_the_job(ctx: WorkerContext, server: VideoServer) -> None:
    # Given a job that counts for nothing in its owner's account yet
    job = new_import(ctx, server.url("/v.mp4"))
    assert stored_bytes(ctx) == 0
    # When its video is imported
    fractions: list[float] = []
    video = imported(ctx, job, on_progress=fractions.append)
    # Then it exists under the id that was promised, as an upload does
    assert video == durable_records.read_video(ctx.storage, job.video_id)
    assert (video.owner, video.filename, video.container) == (EVERYONE, job.filename, "mp4")
    assert (video.size_bytes, video.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert read_bytes(ctx.storage, video.key) == CONTENT
    assert files(ctx) == [video.key, keys.video_record(job.video_id)]
    # And counts as its owner's, and progress was told from 0 to 1
    assert stored_bytes(ctx) == len(CONTENT)
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)


def test_what_an_earlier_attempt_has_fetched_is_not_fetched_again(ctx: WorkerContext, server: VideoServer) -> None:
    job = new_import(ctx, server.url("/v.mp4"))
    first = imported(ctx, job, on_progress=never)
    assert imported(ctx, job, on_progress=never) == first
    assert len(server.requests) == 1
    # Nor if it came to no more than the file, whose digest is computed by the analysis then
    ctx.storage.delete(keys.video_record(job.video_id))
    ctx.admin.set_stored(EVERYONE, job.video_id, 0)
    found = imported(ctx, job, on_progress=never)
    assert (found.key, found.size_bytes, found.sha256) == (first.key, first.size_bytes, None)
    assert len(server.requests) == 1
    assert stored_bytes(ctx) == len(CONTENT)


def test_an_attempt_that_is_stopped_takes_no_video_of_another_from_the_account(
    ctx: WorkerContext, server: VideoServer
) -> None:
    # Given an attempt that has lost its job, which another one has finished importing
    job = new_import(ctx, server.url("/v.mp4"))

    def lose_it(fraction: float) -> None:
        if fraction == 1.0 and stored_bytes(ctx):  # it has counted the video, and not stored it yet
            imported(ctx, job, on_progress=never)
            raise LostJob

    with pytest.raises(LostJob):
        imported(ctx, job, on_progress=lose_it)
    assert stored_bytes(ctx) == len(CONTENT)


def test_the_file_of_an_attempt_that_was_taken_for_lost_is_kept(ctx: WorkerContext, server: VideoServer) -> None:
    # Given another attempt that stores the file just before this one does
    job = new_import(ctx, server.url("/v.mp4"))
    key, others = keys.upload(job.video_id, "mp4"), mp4_bytes(200_000)

    def store_it(fraction: float) -> None:
        if fraction == 1.0 and not ctx.storage.exists(key):
            put_bytes(ctx.storage, key, others, content_type="video/mp4")

    # Then there is one file, with a record of it
    video = imported(ctx, job, on_progress=store_it)
    assert (video.key, video.size_bytes, video.sha256) == (key, len(others), None)
    assert read_bytes(ctx.storage, key) == others
    assert files(ctx) == [key, keys.video_record(job.video_id)]
    assert stored_bytes(ctx) == len(others)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x89PNG" + bytes(100_000), bytes(100_000)])
def test_what_is_no_video_is_not_kept(ctx: WorkerContext, server: VideoServer, content: bytes) -> None:
    server.pages["/v.mp4"] = File(content)
    with pytest.raises(ImportFailed, match="not mp4, mov, avi, mkv or webm"):
        imported(ctx, new_import(ctx, server.url("/v.mp4")), on_progress=never)
    assert files(ctx) == []


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_video_over_the_cap_is_not_kept(make_ctx: Any, server: VideoServer, is_chunked: bool) -> None:
    ctx = make_ctx(MAX_FILE_SIZE_MB="1")
    server.pages["/v.mp4"] = File(mp4_bytes((1 << 20) + 1), is_chunked=is_chunked)
    with pytest.raises(ImportFailed, match="1 MiB allowed"):
        imported(ctx, new_import(ctx, server.url("/v.mp4")), on_progress=never)
    assert files(ctx) == []


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_video_over_the_limit_of_its_owner_is_not_kept(make_ctx: Any, server: VideoServer, is_chunked: bool) -> None:
    # Given an owner who may have 1 MiB, and a video of more, half of which never comes if its size is declared
    ctx, gate = make_ctx(OWNER_MAX_STORED_MB="1"), threading.Event()
    too_large = mp4_bytes((1 << 20) + 1)
    server.pages["/v.mp4"] = File(too_large, is_chunked=is_chunked, gate=None if is_chunked else gate)
    # Then it is refused: before it is fetched if its size is declared, else once it is known
    with pytest.raises(ImportFailed, match="OWNER_MAX_STORED_MB"):
        imported(ctx, new_import(ctx, server.url("/v.mp4")), on_progress=never)
    assert len(server.requests) == 1
    gate.set()
    assert files(ctx) == []
    assert stored_bytes(ctx) == 0
    # And one that fits exactly is not, however often it is counted
    server.pages["/v.mp4"] = File(mp4_bytes(1 << 20), is_chunked=is_chunked)
    job = new_import(ctx, server.url("/v.mp4"))
    imported(ctx, job, on_progress=never)
    ctx.storage.delete(keys.video_record(job.video_id))
    imported(ctx, job, on_progress=never)
    assert stored_bytes(ctx) == 1 << 20


class Stop(Exception):
    """What whoever watches the progress may raise."""


@pytest.mark.parametrize("when", ["at once", "when it is counted already"])
def test_an_import_that_is_stopped_leaves_nothing(ctx: WorkerContext, server: VideoServer, when: str) -> None:
    def stop(_fraction: float) -> None:
        if when == "at once" or stored_bytes(ctx):
            raise Stop

    with pytest.raises(Stop):
        imported(ctx, new_import(ctx, server.url("/v.mp4")), on_progress=stop)
    assert files(ctx) == []
    assert stored_bytes(ctx) == 0


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"ALLOW_URL_IMPORT": "false"}, "ALLOW_URL_IMPORT"),
        ({"ALLOW_PRIVATE_ADDRESSES": "false"}, "does not connect"),
        ({"ALLOW_PRIVATE_ADDRESSES": "10.0.0.0/8,127.0.0.2/32"}, "does not connect"),
    ],
)
def test_the_settings_of_the_worker_count(
    make_ctx: Any, server: VideoServer, settings: dict[str, str], match: str
) -> None:
    ctx = make_ctx(**settings)
    with pytest.raises(ImportFailed, match=match):
        imported(ctx, new_import(ctx, server.url("/v.mp4")), on_progress=never)
    assert server.requests == []


def test_a_job_over_an_imported_video(ctx: WorkerContext, server: VideoServer, clip: Path) -> None:
    # Given two jobs on one URL, whose query is a secret
    video = clip.read_bytes()
    server.pages["/v.mp4"] = File(video)
    config = {"analyses": [], "sprites": False}
    first, second = (new_import(ctx, server.url("/v.mp4?token=secret"), config=config) for _ in range(2))
    # When a worker runs both
    assert attempt.run(ctx, first.job_id) == "completed"
    assert attempt.run(ctx, second.job_id) == "completed"
    # Then each has its video and a result over it, the second a copy of the first
    sha256 = hashlib.sha256(video).hexdigest()
    results = [result_of(ctx.storage, job.job_id) for job in (first, second)]
    assert [one["source"]["sha256"] for one in results] == [sha256, sha256]
    assert results[1]["reused_from"] == first.job_id
    # And the records of what is completed have the file, and the URL no more
    done = durable_records.read_done(ctx.storage, first.job_id)
    assert (done.source_url, done.source_sha256, done.source_size_bytes) == (None, sha256, len(video))
    assert b"secret" not in read_bytes(ctx.storage, keys.done_job(first.job_id))
    assert not ctx.storage.exists(keys.open_job(first.job_id))


def test_a_job_whose_import_fails_keeps_its_url_for_a_retry(
    ctx: WorkerContext, server: VideoServer, logged: list[Any]
) -> None:
    server.pages["/v.mp4"] = File(b"no video")
    url = server.url("/v.mp4?token=secret")
    job = new_import(ctx, url)
    with pytest.raises(JobFailed) as failure:
        attempt.run(ctx, job.job_id)
    ended = current(ctx.store, job.job_id)
    assert ended.status is Status.FAILED
    assert ended.error is not None
    assert (ended.error.code, ended.error.stage) == (ErrorCode.IMPORT_FAILED, "import")
    assert durable_records.read_done(ctx.storage, job.job_id).source_url == url
    # And nobody else sees it
    assert "secret" not in f"{failure.value}{ended}{logged}{ended.error}{job!r}"


class SilentRenewer(LeaseRenewer):
    """Sends nothing, as if the job ended before the first heartbeat."""

    def _run(self) -> None:
        pass


def test_a_video_that_no_codec_can_read_is_the_fault_of_the_next_stage(ctx: WorkerContext, server: VideoServer) -> None:
    ctx = replace(ctx, leases=SilentRenewer(ctx.store))
    job = new_import(ctx, server.url("/v.mp4"))
    with pytest.raises(JobFailed):
        attempt.run(ctx, job.job_id)
    error = current(ctx.store, job.job_id).error
    assert error is not None
    assert (error.code, error.stage) == (ErrorCode.INVALID_MEDIA, "video_analysis")
