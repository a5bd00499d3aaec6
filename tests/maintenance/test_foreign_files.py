"""Files that Clipzy did not write may lie anywhere in a storage: they stop nothing, and are never deleted."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.deletion import delete_job, delete_video
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.maintenance.consistency_check import StorageCheck, compare_with_redis
from clipzy_storage.maintenance.garbage_collector import GarbageCollector
from clipzy_storage.maintenance.recovery import Recovery
from clipzy_storage.maintenance.retention_rules import Kind
from clipzy_storage.models.records import Job, Queue, Status, Video
from clipzy_storage.redis_client import RedisDatabase
from tests.support.aged_storage import AgedStorage
from tests.support.jobs import source_key_of
from tests.support.s3_servers import S3Server

LEVELS = (
    "uploads/",
    "uploads/{video_id}/",
    "jobs/",
    "jobs/open/",
    "jobs/done/",
    "jobs/done/archive/",
    "jobs/cancel/",
    "jobs/by-day/",
    "jobs/by-day/2026-01-31/",
    "results/",
    "results/{job_id}/",
    "results/{job_id}/attempts/",
    "results/{job_id}/attempts/1-aaaa/",
    "results/holidays/2026/",
    ".clipzy/incoming/",
    ".clipzy/probe/",
)
NEARLY_OURS = (
    ".DS_Store",
    "Thumbs.db",
    "READ ME.txt",
    "{job_id}.json.bak",
    "{job_id}.JSON",
    "{job_id}x.json",
    "x{job_id}.json",
    "{job_id}.json/note.txt",
    "archive/{job_id}.json",
    "archive/{job_id}/output.json",
    "archive/{video_id}/source.mp4",
    "job_1.json",
    "vid_1/source.mp4",
    "{video_id}.mp4",
    "source.txt",
    "source.mp4.part",
    "output.json~",
    "Poster.jpg",
    "1-AAAA/poster.jpg",
    "1-aaaa/.DS_Store",
    "x" * 99,
    "deep/" * 150 + "file",
)
NAMES = st.one_of(
    st.sampled_from(NEARLY_OURS),
    st.from_regex(r"[A-Z][A-Za-z0-9._-]{0,30}", fullmatch=True),  # of the form of a key; ours are in lower case
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=30).map("~{}".format),
)
KINDS = ("file", "directory", "link", "dangling link", "link to a directory", "fifo")
MORE_ON_DISK = st.binary(min_size=1, max_size=30).map(lambda name: b"~" + name.replace(b"/", b"_").replace(b"\0", b"_"))
LIMITS: dict[str, str] = {"RESULT_TTL_HOURS": "6", "UPLOAD_TTL_HOURS": "50"}

REAL_SERVICES = settings(  # without shrinking, which would take minutes
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass
class Scene:
    """A storage with something of ours at every level, some of which must be deleted."""

    aged: AgedStorage
    redis_url: str

    def __post_init__(self) -> None:
        aged = self.aged
        aged.finished_at = datetime.now(UTC)
        redis = RedisDatabase(self.redis_url)
        self.store, self.admin = JobStore(redis, lease_seconds=60), JobAdmin(redis)
        self.deleted: Job = aged.completed_job(job=aged.new_job(aged.upload(hours=5)), hours=5)
        self.unwanted: Video = aged.upload(hours=5)
        self.expired = aged.completed_job(job=aged.new_job(aged.upload(hours=100)), hours=100)
        self.waiting = aged.open_job(aged.upload(hours=100), hours=2)
        aged.cancellation_request(keys.new_id("job"), hours=2)
        aged.attempt(keys.new_id("job"), hours=25)
        aged.put(keys.upload(keys.new_id("vid"), "mp4"), hours=25)
        aged.attempt(aged.done_job(Status.FAILED, hours=5).job_id, hours=5)
        aged.attempt(self.deleted.job_id, "2-bbbb", hours=5)

    def named(self, text: str) -> str:
        return text.replace("{job_id}", self.deleted.job_id).replace("{video_id}", self.deleted.video_id)

    def is_maintained(self) -> None:
        """Everything that works on all of a storage, and what it does to what is ours."""
        findings = {finding.key for finding in StorageCheck(self.aged.storage, deep=True).findings()}
        assert len(findings) == 5, findings

        report = Recovery(self.store, self.admin, self.aged.storage).rebuild()
        assert (report.waiting, report.damaged) == ({self.waiting.job_id: Queue.INTERACTIVE}, [])
        assert len(report.finished) == 3
        assert list(compare_with_redis(self.aged.storage, self.admin)) == []

        removed = GarbageCollector(self.aged.storage, self.admin, settings_from_env(LIMITS)).sweep()
        assert removed == {
            Kind.EXPIRED_RESULT: 1,
            Kind.EXPIRED_UPLOAD: 1,
            Kind.IDLE_CANCELLATION: 1,
            Kind.RESULT_WITHOUT_JOB: 1,
            Kind.UPLOAD_WITHOUT_RECORD: 1,
            Kind.RESULT_OF_UNCOMPLETED: 1,
            Kind.UNUSED_ATTEMPT: 1,
        }
        assert self.aged.storage.exists(source_key_of(self.waiting))

        delete_job(self.aged.storage, self.admin, self.deleted)
        video = durable_records.read_video(self.aged.storage, self.deleted.video_id)
        delete_video(self.aged.storage, self.admin, video)
        traces = (self.deleted.job_id, self.deleted.video_id)
        left = [key for key in (*self.aged.stored(), *self.aged.indexed()) if keys.id_in(key) in traces]
        assert left == []
        self.aged.storage.sweep_incomplete(0)
        assert list(StorageCheck(self.aged.storage, deep=True).findings()) == []


@settings(REAL_SERVICES, max_examples=20)
@given(
    names=st.lists(st.tuples(st.sampled_from(LEVELS), NAMES, st.sampled_from(KINDS)), min_size=1, max_size=12),
    undecodable=st.lists(st.tuples(st.sampled_from(LEVELS), MORE_ON_DISK, st.sampled_from(KINDS)), max_size=4),
)
def test_in_a_directory(
    redis_url: str, redis_client: Any, names: list[tuple[str, str, str]], undecodable: list[tuple[str, bytes, str]]
) -> None:
    """A file directly under ``results/`` once ended every check and all garbage collection."""
    redis_client.flushall()
    with tempfile.TemporaryDirectory() as directory:
        # Given files, directories, links and fifos of any name at any level of a directory
        root = Path(directory) / "storage"
        scene = Scene(AgedStorage(LocalStorage(root, shared=False, free_reserve_bytes=0)), redis_url)
        for level, name, kind in names:
            _plant(root / scene.named(level + name), kind)
        for level, raw_name, kind in undecodable:
            _plant(root / scene.named(level) / os.fsdecode(raw_name), kind)
        ours = {root / key for key in (*scene.aged.stored(), *scene.aged.indexed()) if keys.id_in(key)}
        own_directories = {directory for path in ours for directory in path.parents}
        before = {entry for entry in _entries(root) if entry[0] not in ours | own_directories}

        # When the storage is maintained, then that is done, and every foreign entry is as it was
        scene.is_maintained()
        assert before - set(_entries(root)) == set()


@settings(REAL_SERVICES, max_examples=4)
@given(names=st.lists(st.tuples(st.sampled_from(LEVELS), NAMES), min_size=1, max_size=12))
def test_in_a_bucket(
    moto_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    redis_url: str,
    redis_client: Any,
    names: list[tuple[str, str]],
) -> None:
    redis_client.flushall()
    for name, value in moto_server.env.items():
        monkeypatch.setenv(name, value)
    # Given objects of any key at any level of a bucket, and an upload of one in progress
    bucket = moto_server.new_bucket()
    scene = Scene(AgedStorage(S3Storage(bucket)), redis_url)
    # Without control characters, which the test's own requests to the server do not always survive.
    drawn = {scene.named(level + name)[:1000] for level, name in names if name.isprintable()}
    own = set(moto_server.keys(bucket))
    for key in drawn | {"results/", "uploads//x", "elsewhere/x"}:
        moto_server.client.put_object(Bucket=bucket, Key=key, Body=b"foreign")
    moto_server.client.create_multipart_upload(Bucket=bucket, Key="results/holidays.mp4")
    # What has the form of an artifact, at its level, is one.
    foreign = {key for key in moto_server.keys(bucket) if keys.id_in(key) is None} - own

    # When the storage is maintained, then that is done, and every foreign object is as it was
    scene.is_maintained()
    assert foreign <= set(moto_server.keys(bucket))
    assert moto_server.unfinished(bucket) == ["results/holidays.mp4"]


def _plant(path: Path, kind: str) -> None:
    """Unless something of that name is there, or the file system has no such name."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "directory":
            (path / "inner").mkdir(parents=True)
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "file":
            with path.open("xb") as file:
                file.write(b"foreign")
        else:
            path.symlink_to({"link": "/etc/hostname", "link to a directory": "/etc"}.get(kind, "nowhere"))


def _entries(directory: Path) -> Iterator[tuple[Path, int, bytes]]:
    for path in directory.iterdir():
        mode = path.lstat().st_mode
        content = b""
        if stat.S_ISLNK(mode):
            content = bytes(path.readlink())
        elif stat.S_ISREG(mode):
            content = path.read_bytes()
        yield path, mode, content
        if stat.S_ISDIR(mode):
            yield from _entries(path)
