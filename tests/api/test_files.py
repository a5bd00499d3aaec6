"""Published files, as browsers and players ask for them."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from clipzy_api.concurrency_limits import DOWNLOADS
from clipzy_api.views.files import BLOCK_BYTES
from clipzy_storage import keys
from clipzy_storage.backends.base import put_json, read_bytes
from clipzy_storage.jobs.durable_records import write_done_job
from clipzy_storage.models.output import attempt_prefix_of
from tests.support.jobs import finish
from tests.support.played_worker import POSTER, claim, complete, expire, submit
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually
from tests.support.wire import connect, head


@dataclass(frozen=True)
class Published:
    job_id: str
    url: Callable[[str], str]
    directory: str


def prefix_of(front_end: FrontEnd, job_id: str) -> str:
    """The prefix of the attempt that the job's result is from."""
    index = read_bytes(front_end.storage, keys.result_index(job_id))  # not of the front end, which would cache it
    return str(attempt_prefix_of(job_id, index))


@pytest.fixture(scope="module")
def published(front_end: FrontEnd) -> Published:
    """A completed job with one file of each sort."""
    job_id = submit(front_end)["job_id"]
    names = ("poster.jpg", "clip.mp4", "page.html", "image.svg", "words.vtt", "data", "list.json")
    complete(front_end, job_id, artifacts=dict.fromkeys(names, POSTER))
    directory = prefix_of(front_end, job_id)
    return Published(job_id, lambda name: f"/storage/{directory}{name}", directory)


def test_a_file_comes_whole(front_end: FrontEnd, published: Published) -> None:
    answer = front_end.get(published.url("poster.jpg"))

    assert (answer.status_code, answer.content) == (200, POSTER)
    assert answer.headers["ETag"] == f'"{hashlib.sha256(POSTER).hexdigest()}"'
    assert answer.headers["Content-Length"] == str(len(POSTER))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    ("name", "content_type", "disposition"),
    [
        ("poster.jpg", "image/jpeg", "inline"),
        ("clip.mp4", "video/mp4", "inline"),
        ("words.vtt", "text/vtt; charset=utf-8", "attachment"),
        ("list.json", "application/json", "attachment"),
        ("page.html", "application/octet-stream", "attachment"),
        ("image.svg", "application/octet-stream", "attachment"),
        ("data", "application/octet-stream", "attachment"),
    ],
)
def test_what_a_file_is_goes_by_a_fixed_list(
    front_end: FrontEnd, published: Published, name: str, content_type: str, disposition: str
) -> None:
    headers = front_end.get(published.url(name)).headers

    assert headers["Content-Type"] == content_type
    assert headers["Content-Disposition"] == f'{disposition}; filename="{name}"'


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=10000-", 10000, 10240),
        ("bytes=-5", 10235, 10240),
        ("bytes=10000-99999", 10000, 10240),
    ],
)
def test_a_part_of_a_file(front_end: FrontEnd, published: Published, asked: str, start: int, stop: int) -> None:
    answer = front_end.get(published.url("poster.jpg"), headers={"Range": asked})

    assert answer.status_code == 206
    assert answer.content == POSTER[start:stop]
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(POSTER)}"
    assert answer.headers["Content-Length"] == str(stop - start)


@pytest.fixture(scope="module")
def large(front_end: FrontEnd) -> tuple[str, bytes]:
    """The link to a file of more than two blocks, and its bytes."""
    content = os.urandom(2 * BLOCK_BYTES + 1000)
    job_id = submit(front_end)["job_id"]
    complete(front_end, job_id, artifacts={"large.bin": content})
    return f"/storage/{prefix_of(front_end, job_id)}large.bin", content


@pytest.mark.parametrize("start", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES])
@pytest.mark.parametrize("size_bytes", [1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES + 1000])
def test_a_part_may_begin_and_end_anywhere_in_a_block(
    front_end: FrontEnd, large: tuple[str, bytes], start: int, size_bytes: int
) -> None:
    url, content = large
    part = content[start : start + size_bytes]

    answer = front_end.get(url, headers={"Range": f"bytes={start}-{start + size_bytes - 1}"})

    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(part) - 1}/{len(content)}"
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(part).digest()


@pytest.mark.parametrize("size_bytes", [1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES + 999])
def test_the_last_bytes_of_a_file_of_several_blocks(
    front_end: FrontEnd, large: tuple[str, bytes], size_bytes: int
) -> None:
    url, content = large

    last = front_end.get(url, headers={"Range": f"bytes=-{size_bytes}"})
    rest = front_end.get(url, headers={"Range": f"bytes={len(content) - size_bytes}-"})

    assert (last.status_code, rest.status_code) == (206, 206)
    assert last.content == rest.content == content[-size_bytes:]


def test_a_part_that_is_not_there(front_end: FrontEnd, published: Published) -> None:
    answer = front_end.get(published.url("poster.jpg"), headers={"Range": "bytes=10240-"})

    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(POSTER)}"
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=-99999", "items=0-1", "bytes=x-y", "bytes"])
def test_other_ranges_are_answered_with_the_whole(front_end: FrontEnd, published: Published, asked: str) -> None:
    answer = front_end.get(published.url("poster.jpg"), headers={"Range": asked})

    assert (answer.status_code, answer.content) == (200, POSTER)


def test_a_part_only_of_the_file_that_is_known(front_end: FrontEnd, published: Published) -> None:
    url = published.url("poster.jpg")
    tag = front_end.get(url).headers["ETag"]

    same = front_end.get(url, headers={"Range": "bytes=0-9", "If-Range": tag})
    other = front_end.get(url, headers={"Range": "bytes=0-9", "If-Range": '"another"'})

    assert (same.status_code, other.status_code) == (206, 200)


def test_a_file_that_is_known_is_not_sent_again(front_end: FrontEnd, published: Published) -> None:
    url = published.url("poster.jpg")
    tag = front_end.get(url).headers["ETag"]

    known = front_end.get(url, headers={"If-None-Match": tag})
    unknown = front_end.get(url, headers={"If-None-Match": '"another"'})

    assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", tag)
    assert unknown.status_code == 200


def test_head_tells_without_sending(front_end: FrontEnd, published: Published) -> None:
    answer = requests.head(front_end.url + published.url("poster.jpg"), timeout=30)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(POSTER))
    assert answer.headers["ETag"] == f'"{hashlib.sha256(POSTER).hexdigest()}"'


def test_only_listed_files_are_downloadable(front_end: FrontEnd, published: Published) -> None:
    # Given everything else that lies in the storage
    job = front_end.get(f"/api/v1/jobs/{published.job_id}").json()
    others = [
        f"{published.directory}unlisted.txt",
        f"results/{published.job_id}/",
        f"results/{published.job_id}",
        f"uploads/{job['video_id']}/source.mp4",
        f"uploads/{job['video_id']}/video.json",
        f"jobs/open/{published.job_id}.json",
        ".clipzy/storage-id",
        f"results/{published.job_id}/../{published.job_id}/output.json",
        f"results/{published.job_id}/%2e%2e/%2e%2e/.clipzy/storage-id",
        f"results//{published.job_id}/output.json",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "results/%00/output.json",
        "results/\u00e9/output.json",
    ]

    # When it is asked for, then it is not there
    for key in others:
        answer = front_end.get_as_written(f"/storage/{key}")
        assert answer.status_code == 404, key
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_no_file_of_an_unfinished_job_is_downloadable(front_end: FrontEnd) -> None:
    # Given a job whose worker has begun to write
    job_id = submit(front_end)["job_id"]
    key = claim(front_end, job_id).prefix + "poster.jpg"
    with front_end.storage.open_writer(key) as incoming:
        incoming.write(POSTER)
        incoming.publish()

    # When that is asked for, then it is not there
    assert front_end.get(f"/storage/{key}").status_code == 404
    assert front_end.get(f"/storage/results/{job_id}/output.json").status_code == 404


def test_readers_that_leave_give_everything_back(front_end: FrontEnd) -> None:
    # Given a large published file
    job_id = submit(front_end)["job_id"]
    large = os.urandom(1 << 20) * 32
    complete(front_end, job_id, artifacts={"large.mp4": large})
    path = front_end.get(f"/api/v1/jobs/{job_id}/result").json()["artifacts"][0]["storage_url"]
    open_files = Path(f"/proc/{front_end.serving_pid()}/fd")
    before = len(list(open_files.iterdir()))

    # When as many as are served at once begin to read it, and stop in the middle
    readers = [connect(front_end.port) for _ in range(DOWNLOADS)]
    try:
        for reader in readers:
            reader.sendall(head(path, method="GET"))
            assert reader.recv(1000).startswith(b"HTTP/1.1 200")

        # Then others are still answered, and one more reader is told to come later
        assert front_end.get("/healthz").status_code == 200
        assert front_end.get(path).status_code == 503
    finally:
        for reader in readers:
            reader.close()

    # And when they leave, their places and files are free again
    assert eventually(lambda: front_end.get(path).status_code == 200)
    assert front_end.get(path).content == large
    assert eventually(lambda: len(list(open_files.iterdir())) <= before + 2)


def test_what_is_published_is_not_shown_before_the_job_is_completed(front_end: FrontEnd) -> None:
    # Given a worker that has published its index, and has not yet said that the job is finished
    job_id = submit(front_end)["job_id"]
    attempt = claim(front_end, job_id)
    key = keys.result_index(job_id)
    put_json(front_end.storage, key, {"artifacts": []})
    front_end.store.commit(attempt.claim, attempt_prefix=attempt.prefix, result_sha256="0" * 64)
    # Then nobody sees it
    assert front_end.get(f"/storage/{key}").status_code == 404
    # Until it is
    assert finish(front_end.store, job_id, attempt.claim.token)
    assert front_end.get(f"/storage/{key}").status_code == 200


def test_links_live_on_where_redis_has_forgotten_the_job(front_end: FrontEnd) -> None:
    # Given a completed job of which Redis knows nothing any more, and one that another owner has
    job_id = submit(front_end)["job_id"]
    job = complete(front_end, job_id)
    front_end.forget(job_id)
    other_id = keys.new_id("job")
    write_done_job(front_end.storage, job.model_copy(update={"job_id": other_id, "owner": "another"}))
    put_json(front_end.storage, keys.result_index(other_id), {"artifacts": []})
    # Then its result is still served, wherever it is asked for
    assert front_end.get(f"/storage/{keys.result_index(job_id)}").status_code == 200
    assert front_end.get(f"/api/v1/jobs/{job_id}/files/poster.jpg").content == POSTER
    # But not the other's
    assert front_end.get(f"/storage/{keys.result_index(other_id)}").status_code == 404
    assert front_end.get(f"/api/v1/jobs/{other_id}/files/output.json").json()["code"] == "JOB_NOT_FOUND"


def places_of(job_id: str, poster: str) -> list[str]:
    """Where the result of a job is to be had."""
    job = f"/api/v1/jobs/{job_id}"
    links = [f"/storage/{key}" for key in (keys.result_index(job_id), poster, keys.expired_result(job_id))]
    return [f"{job}/result", f"{job}/files/poster.jpg", *links]


def is_expired_everywhere(front_end: FrontEnd, job_id: str, poster: str) -> bool:
    answers = [front_end.get(place) for place in places_of(job_id, poster)]
    return [(answer.status_code, answer.json()["code"]) for answer in answers] == [(410, "RESULT_EXPIRED")] * 5


def test_a_result_that_is_kept_no_longer_says_so(front_end: FrontEnd) -> None:
    """Without a look at the record first, what was read of the result once goes on being answered."""
    # Given a completed job whose result was asked for
    job_id = submit(front_end)["job_id"]
    complete(front_end, job_id)
    poster = prefix_of(front_end, job_id) + "poster.jpg"
    assert [front_end.get(place).status_code for place in places_of(job_id, poster)] == [200, 200, 200, 200, 404]
    shown = front_end.get(f"/api/v1/jobs/{job_id}")
    # When its time is over
    expire(front_end, job_id)
    # Then everything says so, and the job shows no result any more
    assert is_expired_everywhere(front_end, job_id, poster)
    again = front_end.get(f"/api/v1/jobs/{job_id}", headers={"If-None-Match": shown.headers["ETag"]})
    assert (again.status_code, again.json()) == (200, shown.json() | {"result": None})
    # And it stays so where only storage knows the job
    front_end.forget(job_id)
    assert is_expired_everywhere(front_end, job_id, poster)
    assert front_end.get(f"/api/v1/jobs/{job_id}").json() == again.json()


def test_an_expiry_that_redis_does_not_know_of_is_found_out(front_end: FrontEnd) -> None:
    # Given a completed job whose result has expired, in a Redis that was set back to before that
    job_id = submit(front_end)["job_id"]
    complete(front_end, job_id)
    poster = prefix_of(front_end, job_id) + "poster.jpg"
    expire(front_end, job_id, tell_redis=False)
    assert front_end.get(f"/api/v1/jobs/{job_id}").json()["result"] is not None
    # When it is asked for, then it is known from then on
    assert is_expired_everywhere(front_end, job_id, poster)
    assert front_end.get(f"/api/v1/jobs/{job_id}").json()["result"] is None
