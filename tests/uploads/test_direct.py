"""Direct uploads: the bytes go from the client to the S3 service, and never through a front end."""

import hashlib
from typing import Any

import pytest
import requests

from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from clipzy_storage.uploads.direct import LEAST_PART_BYTES
from tests.support.forms import mp4_bytes
from tests.support.servers import FrontEnd
from tests.uploads.tus_client import CONTENT, UPLOADS, VIDEOS, Deployed, ask

pytestmark = pytest.mark.parametrize("deployed", ["rclone"], indirect=True, scope="session")

DIRECT = f"{UPLOADS}/s3"
LARGE = mp4_bytes(LEAST_PART_BYTES + 1_000_000)
"""Two parts."""


def begin(front_end: FrontEnd, content: bytes = LARGE, **more: Any) -> dict[str, Any]:
    body = {"filename": "holiday.mp4", "size_bytes": len(content), **more}
    answer = front_end.post(DIRECT, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def send_parts(begun: dict[str, Any], content: bytes = LARGE) -> list[dict[str, Any]]:
    """Every part to its URL; what completes the upload."""
    size_bytes = begun["part_size_bytes"]
    sent = []
    for part in begun["parts"]:
        start = (part["number"] - 1) * size_bytes
        answer = requests.put(part["url"], data=content[start : start + size_bytes], timeout=60)
        assert answer.status_code == 200, answer.text
        sent.append({"number": part["number"], "etag": answer.headers["ETag"]})
    return sent


def complete(front_end: FrontEnd, begun: dict[str, Any], parts: list[dict[str, Any]], **more: Any) -> requests.Response:
    return front_end.post(f"{DIRECT}/{begun['upload_id']}/complete", json={"parts": parts, **more})


def usage(front_end: FrontEnd) -> dict[str, int]:
    found: dict[str, int] = front_end.get("/api/v1/me").json()["usage"]
    return found


def test_parts_become_a_video(deployed: Deployed) -> None:
    # Given an upload that one front end has begun
    before = usage(deployed.first)
    begun = begin(deployed.first)
    assert [part["number"] for part in begun["parts"]] == [1, 2]
    assert usage(deployed.first)["uploads"] - before["uploads"] == 1
    # When its parts are sent to the bucket, and another front end completes it
    parts = send_parts(begun)
    assert deployed.first.get(f"{VIDEOS}/{begun['upload_id']}").status_code == 404
    answer = complete(deployed.front_ends[1], begun, parts)
    # Then it is the video of the same id, without a digest
    assert answer.status_code == 201, answer.text
    video = answer.json()
    assert answer.headers["Location"] == f"{VIDEOS}/{video['video_id']}"
    assert (video["video_id"], video["filename"], video["size_bytes"], video["sha256"]) == (
        begun["upload_id"],
        "holiday.mp4",
        len(LARGE),
        None,
    )
    assert read_bytes(deployed.storage, keys.upload(video["video_id"], "mp4")) == LARGE
    assert deployed.left(video["video_id"]) == []
    # And it counts as one, and no more as an upload
    after = usage(deployed.first)
    assert (after["uploads"], after["stored_bytes"] - before["stored_bytes"]) == (before["uploads"], len(LARGE))
    # And a repetition is answered as before
    assert complete(deployed.first, begun, parts).json() == video


def test_the_container_is_what_the_content_says(deployed: Deployed) -> None:
    begun = begin(deployed.first, CONTENT, filename="a.webm")
    assert complete(deployed.first, begun, send_parts(begun, CONTENT)).status_code == 201
    assert deployed.storage.info(keys.upload(begun["upload_id"], "webm")).size_bytes == len(CONTENT)


def test_urls_can_be_had_again(deployed: Deployed) -> None:
    begun = begin(deployed.first)
    answer = deployed.front_ends[1].get(f"{DIRECT}/{begun['upload_id']}/parts?numbers=2,1")
    assert [part["number"] for part in answer.json()["parts"]] == [2, 1]
    begun["parts"] = answer.json()["parts"]
    assert complete(deployed.first, begun, send_parts(begun)).status_code == 201


@pytest.mark.parametrize("numbers", ["", "0", "3", "2-1", "1-3", "a", "1,,2", "-1", "1" * 6])
def test_numbers_that_are_none_are_refused(deployed: Deployed, numbers: str) -> None:
    begun = begin(deployed.first)
    answer = deployed.first.get(f"{DIRECT}/{begun['upload_id']}/parts?numbers={numbers}")
    assert (answer.status_code, answer.json()["field"]) == (422, "numbers")


@pytest.mark.parametrize("wrong", ["missing", "etag", "size"])
def test_parts_that_are_others_can_be_sent_again(deployed: Deployed, wrong: str) -> None:
    # Given an upload whose parts are not what is said
    begun = begin(deployed.first)
    parts = send_parts(begun, LARGE if wrong != "size" else LARGE[:-1])
    said = {"missing": parts[:1], "etag": [parts[0], parts[1] | {"etag": "x"}], "size": parts}[wrong]
    # When it is completed, then that is refused, and nothing is lost
    refused = complete(deployed.first, begun, said)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (422, "INVALID_FIELD", "parts")
    if wrong != "size":  # rclone takes no other content for a part that it has
        assert complete(deployed.first, begun, send_parts(begun)).status_code == 201


def test_a_file_that_is_cut_into_parts_of_other_sizes_is_refused(deployed: Deployed) -> None:
    """Most services refuse those that are too small, and would go on to do so."""
    begun = begin(deployed.first)
    parts = []
    for part, piece in zip(begun["parts"], (LARGE[:1_000_000], LARGE[1_000_000:]), strict=True):
        sent = requests.put(part["url"], data=piece, timeout=60)
        parts.append({"number": part["number"], "etag": sent.headers["ETag"]})
    refused = complete(deployed.first, begun, parts)
    assert (refused.status_code, refused.json().get("field")) == (422, "parts")
    assert f"part 1 has 1000000 bytes, and not {LEAST_PART_BYTES}" in refused.json()["detail"]


def test_what_is_no_video_is_refused_and_gone(deployed: Deployed) -> None:
    content = b"no video" * 1_000_000
    begun = begin(deployed.first, content)
    refused = complete(deployed.first, begun, send_parts(begun, content))
    assert (refused.status_code, refused.json()["code"]) == (422, "UNSUPPORTED_FORMAT")
    assert deployed.left(begun["upload_id"]) == []
    assert list(deployed.storage.list(keys.upload_prefix(begun["upload_id"]))) == []
    assert complete(deployed.first, begun, [{"number": 1, "etag": "x"}]).json()["code"] == "UPLOAD_NOT_FOUND"


def test_an_upload_can_be_given_up(deployed: Deployed) -> None:
    before = usage(deployed.first)
    begun = begin(deployed.first)
    send_parts(begun)
    assert deployed.front_ends[1].delete(f"{DIRECT}/{begun['upload_id']}").status_code == 204
    assert deployed.left(begun["upload_id"]) == []
    assert requests.put(begun["parts"][0]["url"], data=b"x", timeout=60).status_code == 404
    assert usage(deployed.first) == before
    assert deployed.first.delete(f"{DIRECT}/{begun['upload_id']}").status_code == 404


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "MISSING_FIELD", "filename"),
        ({"filename": "a.mp4"}, "MISSING_FIELD", "size_bytes"),
        ({"filename": "a.mp4", "size_bytes": 0}, "INVALID_FIELD", "size_bytes"),
        ({"filename": "a.mp4", "size_bytes": "9"}, "INVALID_FIELD", "size_bytes"),
        ({"filename": "a.mp4", "size_bytes": 9, "sha256": "x"}, "INVALID_FIELD", "sha256"),
        ({"filename": "a.mp4", "size_bytes": 9, "more": 1}, "INVALID_FIELD", "more"),
        ({"filename": "a.mp4", "size_bytes": (64 << 20) + 1}, "FILE_TOO_LARGE", None),
    ],
)
def test_wrong_fields_are_named(deployed: Deployed, body: dict[str, Any], code: str, field: str | None) -> None:
    answer = deployed.first.post(DIRECT, json=body)
    assert (answer.json()["code"], answer.json().get("field")) == (code, field)


def test_one_kind_of_upload_is_not_continued_as_the_other(deployed: Deployed) -> None:
    begun = begin(deployed.first)
    assert ask(deployed.first, "HEAD", f"{UPLOADS}/{begun['upload_id']}").status_code == 404


@pytest.mark.parametrize("when", ["begun", "completed", "both"])
def test_a_declared_digest_is_kept_for_the_worker(deployed: Deployed, when: str) -> None:
    digest: dict[str, Any] = {"sha256": hashlib.sha256(LARGE).hexdigest()}
    begun = begin(deployed.first, **(digest if when != "completed" else {}))
    answer = complete(deployed.first, begun, send_parts(begun), **(digest if when != "begun" else {}))
    assert answer.json()["sha256"] is None
    record = read_bytes(deployed.storage, keys.video_record(begun["upload_id"]))
    assert digest["sha256"].encode() in record


def test_a_digest_that_is_not_the_first_one_is_refused(deployed: Deployed) -> None:
    begun = begin(deployed.first, sha256="0" * 64)
    sent = send_parts(begun)
    answer = complete(deployed.first, begun, sent, sha256="1" * 64)
    assert (answer.status_code, answer.json()["field"]) == (422, "sha256")
    assert complete(deployed.first, begun, sent).status_code == 201


def test_a_repetition_under_a_key_is_the_same_upload(deployed: Deployed) -> None:
    body, key = {"filename": "a.mp4", "size_bytes": len(LARGE)}, {"Idempotency-Key": f"direct-{deployed.first.port}"}
    first, again = (front_end.post(DIRECT, json=body, headers=key) for front_end in deployed.front_ends)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["upload_id"] == first.json()["upload_id"]
    assert complete(deployed.first, first.json(), send_parts(again.json())).status_code == 201
