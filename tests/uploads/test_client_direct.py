"""The Python client sends files straight to the bucket, and past it where that is not possible."""

import hashlib
import json
from pathlib import Path

import pytest

from clipzy_api.client import Client, UploadFailed
from clipzy_api.client.uploads import parts
from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from tests.support.processes import free_port
from tests.support.s3_proxy import Rule, S3Proxy
from tests.uploads.client_line import CONTENT, MIB, Line, interrupted
from tests.uploads.tus_client import Deployed, another

pytestmark = pytest.mark.parametrize("deployed", ["rclone"], indirect=True, scope="session")


def test_a_bucket_out_of_reach_is_bypassed(deployed: Deployed, tmp_path: Path, file: Path, state: Path) -> None:
    # Given an S3 service to which this machine has no way
    nowhere = f"http://127.0.0.1:{free_port()}"
    with (
        another(deployed, tmp_path / "web", S3_PUBLIC_ENDPOINT_URL=nowhere) as front_end,
        Client(front_end.url) as client,
    ):
        # Then the file goes through the front end, and only if that is not wanted is it an error
        before = front_end.get("/api/v1/me").json()["usage"]["uploads"]
        assert client.upload(file).size_bytes == len(CONTENT)
        assert front_end.get("/api/v1/me").json()["usage"]["uploads"] == before
        with pytest.raises(UploadFailed, match=f"cannot be sent to storage at {nowhere}.*refused") as error:
            client.upload(file, method="s3")
        assert "Signature" not in str(error.value)
    assert state.exists()


@pytest.mark.parametrize(
    ("rule", "is_direct"),
    [
        (Rule(403, "AccessDenied", times=1), True),  # expired; the same part twice would be refused for good
        (Rule(503, "SlowDown", times=2), True),
        (Rule(500, "InternalError", times=2), True),
        (Rule(lost=True, times=2), True),
        (Rule(403, "SignatureDoesNotMatch"), False),
    ],
)
def test_what_the_service_refuses_is_sent_anew(
    deployed: Deployed, tmp_path: Path, file: Path, state: Path, rule: Rule, is_direct: bool
) -> None:
    with (
        S3Proxy(deployed.settings["AWS_ENDPOINT_URL_S3"]) as bucket,
        another(deployed, tmp_path / "web", S3_PUBLIC_ENDPOINT_URL=bucket.url) as front_end,
        Client(front_end.url) as client,
    ):
        bucket.set_rule("UploadPart", rule)
        video = client.upload(file)
        assert read_bytes(deployed.storage, keys.upload(video.video_id, "mp4")) == CONTENT
        assert (video.sha256 is None) == is_direct
        record = read_bytes(deployed.storage, keys.video_record(video.video_id))
        assert hashlib.sha256(CONTENT).hexdigest().encode() in record
    assert state.exists()


def test_urls_are_asked_for_as_they_are_needed(line: Line, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "SIGNED_AT_ONCE", 1)
    interrupted(line, file)
    line.check(line.submit(file))
    assert line.proxy.received_bytes < 33 * MIB


def test_parts_that_are_not_what_was_remembered_are_sent_anew(line: Line, file: Path) -> None:
    interrupted(line, file)
    (path,) = line.remembered()
    remembered = json.loads(path.read_text())
    remembered["etags"] = dict.fromkeys(remembered["etags"], '"0"')
    path.write_text(json.dumps(remembered))
    line.check(line.submit(file))
