"""Resumable uploads by tus, request by request."""

import hashlib
import os
import time
from email.utils import parsedate_to_datetime
from itertools import cycle

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from tests.support.forms import mp4_bytes
from tests.uploads.tus_client import (
    CHUNK,
    CONTENT,
    JOBS,
    UPLOADS,
    VIDEOS,
    Deployed,
    ask,
    begin,
    checksum,
    id_of,
    offset_of,
    send,
    video,
)

SHA256 = hashlib.sha256(CONTENT).hexdigest()


def assert_whole(deployed: Deployed, path: str, content: bytes = CONTENT) -> None:
    found = video(deployed.first, path)
    assert (found["video_id"], found["filename"], found["size_bytes"]) == (id_of(path), "holiday.mp4", len(content))
    assert found["sha256"] in (None, hashlib.sha256(content).hexdigest())
    assert read_bytes(deployed.storage, keys.upload(id_of(path), "mp4")) == content
    assert deployed.left(id_of(path)) == []
    # And it is known as whole, also to a client that missed the answer
    head = ask(deployed.first, "HEAD", path)
    assert head.headers["Upload-Offset"] == head.headers["Upload-Length"] == str(len(content))


def test_pieces_to_any_front_end_become_one_video(deployed: Deployed) -> None:
    # Given an upload that two front ends take turns with
    path = begin(deployed.first, len(CONTENT))
    offset = 0
    for front_end, size_bytes in zip(cycle(deployed.front_ends), cycle([1, 100_003, 6_000_000, 65_536]), strict=False):
        # When each is sent a piece
        piece = CONTENT[offset : offset + size_bytes]
        answer = send(front_end, path, piece, offset=offset)
        offset += len(piece)
        # Then it says how much there is
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(offset))
        if offset == len(CONTENT):
            break
        assert "Upload-Expires" in answer.headers
        assert [offset_of(one, path) for one in deployed.front_ends] == [offset, offset]
        assert deployed.first.get(f"{VIDEOS}/{id_of(path)}").status_code == 404
    # And it is a video once it is whole
    assert_whole(deployed, path)


def test_one_front_end_knows_the_digest(deployed: Deployed) -> None:
    path = begin(deployed.first, len(CONTENT))
    send(deployed.first, path, CONTENT[:100_000], offset=0)
    send(deployed.first, path, CONTENT[100_000:], offset=100_000)
    assert video(deployed.first, path)["sha256"] == SHA256
    assert_whole(deployed, path)


def test_the_first_piece_may_come_with_the_first_request(deployed: Deployed) -> None:
    answer = ask(deployed.first, "POST", UPLOADS, CONTENT[:70_000], Upload_Length=str(len(CONTENT)), **CHUNK)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "70000")
    whole = ask(deployed.first, "POST", UPLOADS, CONTENT[:70_000], Upload_Length="70000", **CHUNK)
    assert (whole.status_code, whole.headers["Upload-Offset"]) == (201, "70000")
    assert video(deployed.first, whole.headers["Location"])["size_bytes"] == 70_000


def test_another_offset_is_refused_with_the_right_one(deployed: Deployed) -> None:
    path = begin(deployed.first, len(CONTENT))
    send(deployed.first, path, CONTENT[:1000], offset=0)
    for offset in (0, 999, 1001, len(CONTENT)):
        refused = send(deployed.first, path, CONTENT[offset : offset + 10], offset=offset)
        assert (refused.status_code, refused.json()["code"]) == (409, "OFFSET_MISMATCH")
        assert refused.headers["Upload-Offset"] == "1000"
    assert offset_of(deployed.first, path) == 1000


def test_a_client_that_has_lost_the_last_answer_learns_that_the_upload_is_whole(deployed: Deployed) -> None:
    path = begin(deployed.first, 70_000)
    send(deployed.first, path, CONTENT[:70_000], offset=0)
    for front_end in deployed.front_ends:
        # When it sends what it has sent before, or asks by a piece of nothing, then it is told
        repeated = send(front_end, path, CONTENT[60_000:70_000], offset=60_000)
        assert (repeated.status_code, repeated.json()["code"]) == (409, "OFFSET_MISMATCH")
        asked = send(front_end, path, b"", offset=70_000)
        assert asked.status_code == 204
        assert repeated.headers["Upload-Offset"] == asked.headers["Upload-Offset"] == "70000"
        # And nothing can be added
        assert send(front_end, path, b"x", offset=70_000).status_code == 409


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_a_piece_with_another_checksum_is_not_kept(deployed: Deployed, algorithm: str) -> None:
    # Given an upload with a piece
    path = begin(deployed.first, len(CONTENT))
    send(deployed.first, path, CONTENT[:1000], offset=0, Upload_Checksum=checksum(CONTENT[:1000], algorithm=algorithm))
    # When a piece of more than a part arrives damaged
    piece = CONTENT[1000:7_000_000]
    refused = send(
        deployed.first, path, piece[:-1] + b"x", offset=1000, Upload_Checksum=checksum(piece, algorithm=algorithm)
    )
    # Then none of it is kept
    assert (refused.status_code, refused.json()["code"]) == (460, "CHECKSUM_MISMATCH")
    assert f"have the {algorithm} " in refused.json()["detail"]
    assert offset_of(deployed.first, path) == 1000
    # And the right one is
    kept = send(deployed.first, path, piece, offset=1000, Upload_Checksum=checksum(piece, algorithm=algorithm))
    assert kept.headers["Upload-Offset"] == "7000000"
    send(deployed.first, path, CONTENT[7_000_000:], offset=7_000_000)
    assert_whole(deployed, path)


@pytest.mark.parametrize("size_bytes", [20_000, 200_000])
def test_what_is_no_video_is_refused_early_and_gone(deployed: Deployed, size_bytes: int) -> None:
    path = begin(deployed.first, size_bytes)
    refused = send(deployed.first, path, b"no video" * (size_bytes // 8), offset=0)
    assert (refused.status_code, refused.json()["code"]) == (422, "UNSUPPORTED_FORMAT")
    assert ask(deployed.first, "HEAD", path).status_code == 404
    assert deployed.left(id_of(path)) == []


def test_what_is_seen_to_be_no_video_at_the_end_is_gone_too(deployed: Deployed) -> None:
    content = b"no video" * 1000
    path = begin(deployed.first, len(content))
    assert send(deployed.first, path, content[:100], offset=0).status_code == 204
    assert send(deployed.first, path, content[100:], offset=100).json()["code"] == "UNSUPPORTED_FORMAT"
    assert ask(deployed.first, "HEAD", path).status_code == 404
    assert deployed.left(id_of(path)) == []


def test_an_upload_can_be_given_up(deployed: Deployed) -> None:
    path = begin(deployed.first, len(CONTENT))
    send(deployed.first, path, CONTENT[:6_000_000], offset=0)
    before = usage(deployed)
    assert ask(deployed.front_ends[1], "DELETE", path).status_code == 204
    assert deployed.left(id_of(path)) == []
    for method in ("HEAD", "DELETE"):
        assert ask(deployed.first, method, path).status_code == 404
    assert send(deployed.first, path, b"x", offset=0).json()["code"] == "UPLOAD_NOT_FOUND"
    # And it counts no more
    after = usage(deployed)
    assert before["uploads"] - after["uploads"] == 1
    assert before["stored_bytes"] - after["stored_bytes"] == len(CONTENT)


def usage(deployed: Deployed) -> dict[str, int]:
    found: dict[str, int] = deployed.first.get("/api/v1/me").json()["usage"]
    return found


def test_more_than_was_announced_is_refused(deployed: Deployed) -> None:
    path = begin(deployed.first, 1000)
    declared = send(deployed.first, path, CONTENT[:1001], offset=0)
    chunked = send(deployed.first, path, iter([CONTENT[:1001]]), offset=0)
    for refused in (declared, chunked):
        assert (refused.status_code, refused.json()["code"]) == (413, "FILE_TOO_LARGE")
    assert send(deployed.first, path, CONTENT[: 1000 - offset_of(deployed.first, path)], offset=0).status_code == 204


def test_the_cap_counts_before_a_byte_is_sent(deployed: Deployed) -> None:
    answer = ask(deployed.first, "POST", UPLOADS, Upload_Length=str((64 << 20) + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "FILE_TOO_LARGE")
    assert "at most 64 MiB" in answer.json()["detail"]


WRONG: dict[str, tuple[str, dict[str, str], int, str]] = {
    "no length": ("POST", {}, 400, "BAD_REQUEST"),
    "a length that is none": ("POST", {"Upload_Length": "-1"}, 400, "BAD_REQUEST"),
    "a length of nothing": ("POST", {"Upload_Length": "0"}, 422, "MISSING_FIELD"),
    "a length that comes later": ("POST", {"Upload_Length": "9", "Upload_Defer_Length": "1"}, 400, "BAD_REQUEST"),
    "parts to concatenate": ("POST", {"Upload_Length": "9", "Upload_Concat": "partial"}, 400, "BAD_REQUEST"),
    "metadata that is no base64": ("POST", {"Upload_Length": "9", "Upload_Metadata": "name ?"}, 400, "BAD_REQUEST"),
    "metadata without a key": ("POST", {"Upload_Length": "9", "Upload_Metadata": "name YQ==,,"}, 400, "BAD_REQUEST"),
    "too much metadata": ("POST", {"Upload_Length": "9", "Upload_Metadata": "a " + "YQ==" * 2000}, 400, "BAD_REQUEST"),
    "no offset": ("PATCH", CHUNK, 400, "BAD_REQUEST"),
    "another media type": ("PATCH", {"Upload_Offset": "0", "Content_Type": "video/mp4"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    "another checksum": ("PATCH", {"Upload_Offset": "0", **CHUNK, "Upload_Checksum": "md5 YQ=="}, 400, "BAD_REQUEST"),
    "a checksum of nothing": ("PATCH", {"Upload_Offset": "0", **CHUNK, "Upload_Checksum": "sha1"}, 400, "BAD_REQUEST"),
    "a checksum too short": (
        "PATCH",
        {"Upload_Offset": "0", **CHUNK, "Upload_Checksum": "sha256 YQ=="},
        400,
        "BAD_REQUEST",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_headers_are_named(deployed: Deployed, case: str) -> None:
    method, headers, status, code = WRONG[case]
    path = UPLOADS if method == "POST" else begin(deployed.first, 1000)
    answer = ask(deployed.first, method, path, b"x" if method == "PATCH" else None, **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Tus-Resumable"] == "1.0.0"


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
def test_another_version_is_refused(deployed: Deployed, method: str) -> None:
    path = UPLOADS if method == "POST" else begin(deployed.first, 1000)
    answer = ask(deployed.first, method, path, Tus_Resumable="0.2.2")
    assert (answer.status_code, answer.headers["Tus-Version"]) == (412, "1.0.0")


def test_options_tell_what_is_supported(deployed: Deployed) -> None:
    for path in (UPLOADS, f"{UPLOADS}/{keys.new_id('vid')}"):
        answer = ask(deployed.first, "OPTIONS", path)
        assert answer.status_code == 204
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert answer.headers["Tus-Max-Size"] == str(64 << 20)
        extensions = {"creation", "creation-with-upload", "expiration", "checksum", "termination"}
        assert set(answer.headers["Tus-Extension"].split(",")) == extensions
        assert answer.headers["Tus-Checksum-Algorithm"] == "sha256,sha1"


def test_clients_that_can_only_post_name_their_method(deployed: Deployed) -> None:
    path = begin(deployed.first, 70_000)
    named = {"X_HTTP_Method_Override": "PATCH", "Upload_Offset": "0", **CHUNK}
    answer = ask(deployed.first, "POST", path, CONTENT[:1000], **named)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "1000")
    assert ask(deployed.first, "POST", path, X_HTTP_Method_Override="DELETE").status_code == 204
    assert ask(deployed.first, "HEAD", path).status_code == 404
    # And other calls have the method that they are sent with
    posted = ask(deployed.first, "POST", f"{VIDEOS}/{id_of(path)}", X_HTTP_Method_Override="DELETE")
    assert posted.status_code == 405


def test_metadata_is_returned_as_it_was_sent(deployed: Deployed) -> None:
    sent = "relativePath bnVsbA==,name YS5tcDQ=,type dmlkZW8vbXA0,empty"
    answer = ask(deployed.first, "POST", UPLOADS, Upload_Length="70000", Upload_Metadata=sent)
    path = answer.headers["Location"]
    assert ask(deployed.first, "HEAD", path).headers["Upload-Metadata"] == sent
    send(deployed.first, path, mp4_bytes(70_000), offset=0)
    assert video(deployed.first, path)["filename"] == "a.mp4"


@pytest.mark.parametrize("deployed", ["local"], indirect=True, scope="session")
def test_an_upload_expires_after_its_last_byte(deployed: Deployed) -> None:
    # Given an upload to which nothing has come for ten hours
    path = begin(deployed.first, 70_000)
    send(deployed.first, path, CONTENT[:1000], offset=0)
    last_byte_at = time.time() - 36_000
    for key in deployed.left(id_of(path)):
        os.utime(deployed.first.root / key, (last_byte_at, last_byte_at))
    # When it is asked for, then it is told how long it stays, and not longer for that
    expires_at = parsedate_to_datetime(ask(deployed.first, "HEAD", path).headers["Upload-Expires"])
    assert abs(expires_at.timestamp() - last_byte_at - 24 * 3600) < 60


@pytest.mark.parametrize("upload_id", ["vid_00000000000000000000000000", "nothing", "job_00000000000000000000000000"])
def test_what_does_not_exist_is_not_found(deployed: Deployed, upload_id: str) -> None:
    path = f"{UPLOADS}/{upload_id}"
    assert ask(deployed.first, "HEAD", path).status_code == 404
    assert ask(deployed.first, "DELETE", path).json()["code"] == "UPLOAD_NOT_FOUND"
    assert send(deployed.first, path, b"x", offset=0).json()["code"] == "UPLOAD_NOT_FOUND"


@pytest.mark.parametrize("deployed", ["local"], indirect=True, scope="session")
def test_local_storage_names_the_calls_to_use_instead(deployed: Deployed) -> None:
    answer = deployed.first.post(f"{UPLOADS}/s3", json={"filename": "a.mp4", "size_bytes": 9})
    assert (answer.status_code, answer.json()["code"]) == (409, "NOT_OFFERED")
    assert "POST /api/v1/videos" in answer.json()["detail"]
    assert "POST /api/v1/uploads" in answer.json()["detail"]


def test_a_repetition_under_a_key_is_the_same_upload(deployed: Deployed) -> None:
    # Given a client that has missed the answer to its first request
    key = {"Idempotency_Key": f"lost-{len(deployed.left('x'))}-{deployed.first.port}"}
    path = begin(deployed.first, len(CONTENT), **key)
    before = usage(deployed)
    send(deployed.first, path, CONTENT[:1000], offset=0)
    # When it asks again, then it is told of the same upload, which counts once
    metadata = ask(deployed.first, "HEAD", path).headers["Upload-Metadata"]
    length = {"Upload_Length": str(len(CONTENT)), "Upload_Metadata": metadata}
    again = ask(deployed.front_ends[1], "POST", UPLOADS, **length, **key)
    assert (again.status_code, again.headers["Location"], again.headers["Upload-Offset"]) == (201, path, "1000")
    assert usage(deployed) == before
    # And another one under that key is refused
    other = ask(deployed.first, "POST", UPLOADS, **{**length, "Upload_Length": "70000"}, **key)
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_MISMATCH")


def test_a_repetition_that_is_refused_ends_no_upload(deployed: Deployed) -> None:
    # Given an upload with some bytes
    key = {"Idempotency_Key": f"refused-{deployed.first.port}"}
    path = begin(deployed.first, 70_000, **key)
    send(deployed.first, path, CONTENT[:1000], offset=0)
    # When it is begun again with a piece that is too long
    sent = {"Upload_Length": "70000", "Upload_Metadata": ask(deployed.first, "HEAD", path).headers["Upload-Metadata"]}
    refused = ask(deployed.first, "POST", UPLOADS, CONTENT[:70_001], **sent, **key, **CHUNK)
    # Then what had arrived stays
    assert (refused.status_code, refused.json()["code"]) == (413, "FILE_TOO_LARGE")
    assert offset_of(deployed.first, path) == 1000


def test_a_key_stands_for_one_file_when_that_is_a_video_too(deployed: Deployed) -> None:
    # Given an upload that has become a video
    key = {"Idempotency_Key": f"whole-{deployed.first.port}"}
    path = begin(deployed.first, len(CONTENT), **key)
    send(deployed.first, path, CONTENT, offset=0)
    before = usage(deployed)
    # When a shorter file is announced under its key, then that is refused, and the video counts as before
    other = ask(deployed.first, "POST", UPLOADS, Upload_Length="1", **key)
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_MISMATCH")
    assert usage(deployed) == before
    # And the same one is told that nothing is missing
    sent = {"Upload_Length": str(len(CONTENT)), "Upload_Metadata": "filename aG9saWRheS5tcDQ="}
    again = ask(deployed.front_ends[1], "POST", UPLOADS, **sent, **key)
    assert (again.headers["Location"], again.headers["Upload-Offset"]) == (path, str(len(CONTENT)))
    assert usage(deployed) == before
    assert_whole(deployed, path)


def test_a_video_can_be_uploaded_again_under_its_key(deployed: Deployed) -> None:
    # Given a video that was deleted
    deployed.first.compare_records()
    key = {"Idempotency_Key": f"again-{deployed.first.port}"}
    path = begin(deployed.first, len(CONTENT), **key)
    send(deployed.first, path, CONTENT, offset=0)
    assert deployed.first.delete(f"{VIDEOS}/{id_of(path)}").status_code == 204
    # When it is uploaded once more, then there can be jobs on it
    assert begin(deployed.first, len(CONTENT), **key) == path
    send(deployed.first, path, CONTENT, offset=0)
    answer = deployed.first.post(JOBS, json={"video_id": id_of(path)})
    assert answer.status_code == 202, answer.text
    assert deployed.first.post(f"{JOBS}/{answer.json()['job_id']}/cancel").status_code == 202
