"""The memory of front ends that receive uploads."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.models.records import Upload
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.uploads.locks import UploadLocks
from clipzy_storage.uploads.resumable import ResumableUploads
from clipzy_storage.uploads.store import UploadStore
from tests.support.forms import mp4_bytes
from tests.support.servers import RedisServer, running_front_end
from tests.uploads.tus_client import Deployed, begin, send

UPLOADS_AT_ONCE = 8
FILE_BYTES, PIECE_BYTES = 60 << 20, 3 << 20
MOST_MIB = {"local": 150, "s3": 200}


def test_a_request_lets_go_of_its_file_at_its_end(storage: LocalStorage, redis_server: RedisServer) -> None:
    """Without waiting for the garbage collector: in a bucket a file has megabytes in memory."""
    redis = RedisDatabase(redis_server.url)
    store = UploadStore(storage, JobStore(redis, lease_seconds=60).accounts, expires_seconds=60)
    uploads = ResumableUploads(storage, store, UploadLocks(redis), container_of=lambda _: "mp4")
    new = Upload(upload_id=keys.new_id("vid"), filename="a.mp4", size_bytes=100, created_at=datetime.now(UTC))
    upload = uploads.begin(new)
    gc.disable()
    try:
        with uploads.continued(upload, offset=0, silent_seconds=lambda: 0.0) as part:
            part.write(b"x")
            kept = weakref.ref(part)
        del part
        assert kept() is None
    finally:
        gc.enable()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_many_uploads_at_once_need_little_memory(deployed: Deployed, tmp_path: Path) -> None:
    # Given a new front end
    content = mp4_bytes(FILE_BYTES)
    root, settings = deployed.first.root, deployed.settings
    with running_front_end(tmp_path, deployed.redis.url, storage_path=root, **settings) as front_end:

        def upload(_: int) -> None:
            path = begin(front_end, FILE_BYTES)
            for offset in range(0, FILE_BYTES, PIECE_BYTES):
                assert send(front_end, path, content[offset : offset + PIECE_BYTES], offset=offset).status_code == 204

        # When it receives several uploads at a time, each in many requests, then its memory stays within bounds
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            list(pool.map(upload, range(UPLOADS_AT_ONCE)))
        assert peak_mib(front_end.serving_pid()) < MOST_MIB[deployed.storage.kind]


def peak_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) >> 10
