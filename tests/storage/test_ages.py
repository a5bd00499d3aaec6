"""Every storage: listings report the age of files, by the storage's clock; unfinished files are counted."""

import os
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import BlobInfo, StorageBackend, put_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from tests.support.s3_proxy import S3Proxy
from tests.support.s3_servers import S3Server, storage_of
from tests.support.waiting import eventually

KEY = "results/job_1/output.json"
HOUR_SECONDS = 3600


def _put(storage: StorageBackend, key: str = KEY) -> BlobInfo:
    return put_bytes(storage, key, b"x", content_type="application/octet-stream")


def _age(storage: StorageBackend, key: str = KEY) -> float:
    return next(blob.age_seconds for blob in storage.list("results/") if blob.key == key)


def test_a_listing_reports_the_age_of_a_file(storage: StorageBackend) -> None:
    # Given a new file
    published = _put(storage)

    # Then it is young and grows older, which only listings report
    first = _age(storage)
    assert 0 <= first < 60
    eventually(lambda: _age(storage) >= first + 1, "a file that has grown older by a second")
    assert published.age_seconds == storage.info(KEY).age_seconds == 0

    # And it counts as the same file at any age
    assert next(storage.list("results/")) == published


def test_each_file_has_its_own_age(storage: StorageBackend) -> None:
    # Given a file that is a second older than another
    _put(storage)
    eventually(lambda: _age(storage) >= 1, "a file of a second")
    _put(storage, "results/job_2/output.json")

    # Then the listing reports it, at whichever prefix it begins
    assert _age(storage) > _age(storage, "results/job_2/output.json") + 0.5
    assert next(storage.list("results/job_1/")).age_seconds >= 1


def test_unfinished_files_are_counted(storage: StorageBackend) -> None:
    # Given a file that is there, and an unfinished one that has grown large
    _put(storage)
    assert storage.count_incomplete() == 0
    with storage.open_writer(f"uploads/{keys.new_id('vid')}/source.mp4") as incoming:
        incoming.write(bytes(6 << 20))

        # Then that one is counted, but not as one that has not grown for long
        assert (storage.count_incomplete(), storage.count_incomplete(HOUR_SECONDS)) == (1, 0)

    # And it is not counted any more once it is discarded
    assert storage.count_incomplete() == 0


def test_a_file_is_as_old_as_the_directory_s_clock_shows(tmp_path: Path) -> None:
    # Given files that were written, by the clock of the filesystem, two hours ago and in two hours
    storage = LocalStorage(tmp_path, shared=False)
    storage.prepare()
    ahead = "results/job_2/output.json"
    for key, hours in ((KEY, -2), (ahead, 2)):
        _put(storage, key)
        written_at = (tmp_path / key).stat().st_mtime
        os.utime(tmp_path / key, (written_at, written_at + hours * HOUR_SECONDS))

    # Then the one is so old, and the other is not old at all
    assert 2 * HOUR_SECONDS <= _age(storage) < 2 * HOUR_SECONDS + 60
    assert _age(storage, ahead) == 0


def test_nothing_is_old_in_a_directory_without_a_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an old file in a directory that is not writable; the error is simulated, since root may write everywhere
    storage = LocalStorage(tmp_path, shared=False)
    storage.prepare()
    _put(storage)
    os.utime(tmp_path / KEY, (0, 0))

    def refuse(path: object) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(os, "utime", refuse)

    # Then it is listed, and has no age
    assert _age(storage) == 0


@pytest.mark.parametrize("hours", [2, None])
def test_an_object_is_as_old_as_the_service_s_clock_shows(
    moto_server: S3Server, monkeypatch: pytest.MonkeyPatch, hours: int | None
) -> None:
    # Given an object, and a service whose clock is two hours ahead of this machine's, or that reports no time
    for name in moto_server.env:
        monkeypatch.setenv(name, "")  # put back in the end
    bucket = moto_server.new_bucket()
    with S3Proxy(moto_server.url) as proxy:
        storage = storage_of(moto_server, bucket)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        _put(storage)
        # Only now, or the time that this has taken would be missing from its age.
        proxy.date = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True) if hours else ""

        # Then it is two hours old, or has no age
        assert (hours or 0) * HOUR_SECONDS <= _age(storage) + 1 < (hours or 0) * HOUR_SECONDS + 60
