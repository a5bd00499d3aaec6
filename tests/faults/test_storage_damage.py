"""Bytes that change in storage or on the way: noticed by their digest, and never taken for the client's fault."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, put_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.jobs import completion, durable_records
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.log_events import JOB_SOURCE_DAMAGED
from clipzy_storage.models.records import Status
from clipzy_storage.redis_client import RedisDatabase
from tests.support import s3_servers
from tests.support.deployment import SHORT_LEASE, Deployment, claims_by, s3_settings
from tests.support.disks import padded
from tests.support.jobs import current, new_job
from tests.support.s3_servers import S3Server
from tests.support.tcp_proxy import Fault, TcpProxy

INDEX = b'{"the": "index"}'


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_flipped_byte_in_a_local_upload_is_noticed_whatever_the_decoder_makes_of_it(
    tmp_path: Path, redis_url: str, clip: Path
) -> None:
    """Without the comparison one job completes over the wrong frames, and the other is called invalid media."""
    content = clip.read_bytes()
    places = {"in the frames": len(content) // 2, "in the header": content.index(b"moov")}
    with Deployment(tmp_path, redis_url=redis_url, **SHORT_LEASE) as deployment:
        api, worker = deployment.web(), deployment.worker()
        for name, at in places.items():
            # Given an upload of which one bit has changed on the disk
            video_id = api.upload(clip, to="/videos")["video_id"]
            (deployment.storage / "uploads" / video_id / "source.mp4").write_bytes(flipped(content, at))
            # When a job is made of it, then it fails as our fault, after a second attempt
            job = api.finished(api.post("/jobs", json={"video_id": video_id}).json()["job_id"])
            assert (job["status"], job["error"]["code"]) == ("failed", "PROCESSING_FAILED"), name
            assert "not what was uploaded" in job["error"]["message"]
            assert claims_by(worker, job["job_id"]) == 2
        # And nothing was made of them, and a sound one completes
        assert [key for key in deployment.stored() if key.startswith("results/")] == []
        assert api.run(clip)["attempt"] == 1


@pytest.mark.long
def test_a_byte_flipped_on_the_way_to_the_worker_costs_an_attempt(
    tmp_path: Path, redis_url: str, rclone_server: S3Server, clip: Path
) -> None:
    """Without the comparison the job completes over another file than was uploaded, unnoticed."""
    bucket = rclone_server.new_bucket()
    large = padded(clip, tmp_path / "large.mp4", mib=6)  # in parts: such an object has no digest of the whole
    with (
        TcpProxy(rclone_server.url) as network,
        Deployment(
            tmp_path / "deployment", redis_url=redis_url, **s3_settings(rclone_server, bucket), **SHORT_LEASE
        ) as deployment,
    ):
        api = deployment.web()
        worker = deployment.worker(AWS_ENDPOINT_URL_S3=network.url)
        # Given a network that flips one bit in the middle of each connection: the first attempt meets it, and as
        # rclone keeps connections open, the second does not
        network.suffer(Fault("flip", "answer", 3 << 20))
        # When a job is done over it, then the bit is noticed, and the next attempt completes
        job = api.run(large)
        worker.wait_for_event(JOB_SOURCE_DAMAGED, job_id=job["job_id"])
        assert (job["status"], job["attempt"]) == ("completed", 2)
        assert worker.is_running()


@pytest.fixture(params=["local", "moto", "rclone"])
def damage(request: pytest.FixtureRequest, storage: LocalStorage) -> tuple[Storage, Callable[[str], None]]:
    """A storage, and a function that changes a byte in it without changing its metadata."""
    if request.param == "local":

        def on_disk(key: str) -> None:
            path = Path(storage.location) / key
            path.write_bytes(flipped(path.read_bytes(), 5))

        return storage, on_disk
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    bucket = server.new_bucket()
    on_bucket = s3_servers.storage_of(server, bucket)
    on_bucket.prepare()

    def in_bucket(key: str) -> None:
        found = server.client.get_object(Bucket=bucket, Key=key)
        body = flipped(found["Body"].read(), 5)
        server.client.put_object(Bucket=bucket, Key=key, Body=body, Metadata=found["Metadata"])

    return on_bucket, in_bucket


def test_a_committed_index_that_changes_before_it_is_published_fails_the_job(
    damage: tuple[Storage, Callable[[str], None]], redis_url: str
) -> None:
    """Without the comparison it is published; if a bucket notices it, completion would be tried for ever."""
    storage, flip = damage
    store, job = JobStore(RedisDatabase(redis_url), lease_seconds=60), new_job(storage_id="a")
    # Given a job whose attempt is committed, and whose index then changes in storage
    durable_records.write_open_job(storage, job)
    store.submit(job)
    claim = store.claim(job.job_id, nonce="a", storage_id="a")
    assert claim is not None
    prefix = keys.attempt_prefix(job.job_id, 1, "a")
    put_bytes(storage, prefix + "output.json", INDEX, content_type="application/json")
    pending = store.commit(claim, attempt_prefix=prefix, result_sha256=hashlib.sha256(INDEX).hexdigest())
    flip(prefix + "output.json")
    # When it is completed
    completion.complete(store, storage, pending)
    # Then it has failed by our fault, and the wrong bytes are not published
    failed = current(store, job.job_id)
    assert failed.error is not None
    assert (failed.status, failed.error.code) == (Status.FAILED, "PROCESSING_FAILED")
    assert not storage.exists(keys.result_index(job.job_id))
