"""An S3 service with wrong answers, such as 412 for a key that does not exist: taken for outages, never for facts."""

from collections.abc import Callable, Iterator

import pytest

from clipzy_storage.backends.base import put_bytes, read_bytes
from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_storage.errors import AlreadyExists, Damaged, StorageUnavailable
from tests.storage.s3.uploads import KEY as UPLOADED
from tests.storage.s3.uploads import upload
from tests.support import s3_servers
from tests.support.s3_proxy import Rule
from tests.support.s3_servers import S3Server
from tests.support.storage_gate import CUT, HALF, PAGE, OddGate

KEY = "results/job_1/output.json"


@pytest.fixture
def gate(moto_server: S3Server) -> Iterator[OddGate]:
    with OddGate(moto_server.url) as gate:
        yield gate


@pytest.fixture
def storage(moto_server: S3Server, gate: OddGate, monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    bucket = moto_server.new_bucket()
    s3_servers.storage_of(moto_server, bucket)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", gate.url)
    storage = S3Storage(bucket)
    storage.prepare()
    return storage


def test_a_key_reported_as_taken_is_checked(storage: S3Storage, gate: OddGate) -> None:
    """Without the check a job was completed without a result, since another seemed to have published it."""
    # Given a service that answers 412 where no key is taken
    gate.rules["PutObject"] = Rule(412, "PreconditionFailed")
    # When one is written, then that is a temporary failure
    with pytest.raises(StorageUnavailable, match="as taken, and it is not there"):
        put_bytes(storage, KEY, b"mine", content_type="application/json")
    # And so it is where no condition was made, as for the marker of a large one
    with pytest.raises(StorageUnavailable, match="a condition that was not sent"):
        upload(storage)
    # And if one is taken, that is reported
    gate.rules.clear()
    put_bytes(storage, KEY, b"first", content_type="application/json")
    with pytest.raises(AlreadyExists):
        put_bytes(storage, KEY, b"second", content_type="application/json")
    assert read_bytes(storage, KEY) == b"first"


USES: dict[str, Callable[[S3Storage], object]] = {
    "CreateMultipartUpload": upload,
    "UploadPart": upload,
    "ListParts": upload,
    "HeadObject": lambda storage: storage.info(KEY),
    "GetObject": lambda storage: read_bytes(storage, KEY),
    "ListObjectsV2": lambda storage: list(storage.list("results/")),
    "ListMultipartUploads": lambda storage: storage.sweep_incomplete(3600),
}


@pytest.mark.parametrize("operation", USES)
def test_an_incomplete_answer_is_a_failure(storage: S3Storage, gate: OddGate, operation: str) -> None:
    """Without the check an empty listing passes for an empty bucket, and the front end answers with 500."""
    put_bytes(storage, KEY, b"first", content_type="application/json")
    for odd in (CUT, HALF) if operation == "HeadObject" else (CUT, HALF, PAGE):  # of a page's head nothing shows it
        # Given a service that answers with nothing but a status, or with something else than S3 does
        gate.rules[operation] = odd
        # When it is called, then that is a temporary failure, or damage that is noticed
        with pytest.raises((StorageUnavailable, Damaged)):
            USES[operation](storage)


def test_the_cut_answer_to_the_end_of_an_upload_does_not_hide_that_it_is_there(
    storage: S3Storage, gate: OddGate
) -> None:
    gate.rules["CompleteMultipartUpload"] = CUT
    # When nothing was completed, then that is not taken for success
    with pytest.raises(StorageUnavailable):
        upload(storage)
    assert not storage.exists(UPLOADED)
