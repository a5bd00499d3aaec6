"""The uploaded file of a video, as players fetch it."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.models.access import Scope
from tests.support.deployment import s3_settings
from tests.support.forms import mp4_bytes
from tests.support.s3_servers import S3Server
from tests.support.servers import FrontEnd, RedisServer, running_front_end, running_redis

CONTENT = mp4_bytes(300_000)
NAME = "holiday ☀.mp4"


def uploaded(front_end: FrontEnd, **options: Any) -> dict[str, Any]:
    """A video, with the link to its file."""
    files = {"file": (NAME, CONTENT)}
    video: dict[str, Any] = front_end.post("/api/v1/videos", files=files, **options).json()
    link: dict[str, Any] = front_end.get(f"/api/v1/videos/{video['video_id']}/link", **options).json()
    return video | link


def test_a_file_is_served_whole_and_by_ranges_under_its_name(front_end: FrontEnd) -> None:
    # Given a video
    video = uploaded(front_end)
    path = f"/api/v1/videos/{video['video_id']}/file"
    assert (video["storage_url"], video["expires_at"]) == (path, None)

    # When its file is fetched, then it is what was uploaded, to be shown and not run
    whole = front_end.get(path)
    assert whole.content == CONTENT
    assert whole.headers["Content-Type"] == "video/mp4"
    assert whole.headers["Content-Disposition"].startswith("inline; filename*=UTF-8''holiday%20%E2%98%80.mp4")
    assert whole.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert whole.headers["X-Content-Type-Options"] == "nosniff"

    # And a range of it is that range
    part = front_end.get(path, headers={"Range": "bytes=1000-1999", "If-Range": whole.headers["ETag"]})
    assert (part.status_code, part.content) == (206, CONTENT[1000:2000])
    assert front_end.get(path, headers={"Range": "bytes=300000-"}).status_code == 416
    assert front_end.get(path, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    assert requests.head(front_end.url + path, timeout=30).headers["Content-Length"] == "300000"


def test_a_video_that_was_deleted_has_no_file(front_end: FrontEnd) -> None:
    front_end.compare_records()
    video_id = uploaded(front_end)["video_id"]
    assert front_end.delete(f"/api/v1/videos/{video_id}").status_code == 204

    answer = front_end.get(f"/api/v1/videos/{video_id}/file")

    assert (answer.status_code, answer.json()["code"]) == (404, "VIDEO_NOT_FOUND")


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer, front_end: FrontEnd
) -> Iterator[FrontEnd]:
    """A front end on the same storage that asks for keys."""
    directory, settings = tmp_path_factory.mktemp("guarded"), {"CLIPZY_AUTH": "keys"}
    with running_front_end(directory, redis_server.url, storage_path=front_end.root, **settings) as running:
        yield running


def headers_of(front_end: FrontEnd, owner: str) -> dict[str, str]:
    made = ApiKeys(front_end.storage).create("test", owner=owner, scopes=tuple(Scope), expires_at=None)
    return {"Authorization": f"Bearer {made[1]}"}


def test_a_player_opens_it_by_a_signed_link(guarded: FrontEnd) -> None:
    # Given the video of one owner
    ada, bob = headers_of(guarded, "ada"), headers_of(guarded, "bob")
    video, other = uploaded(guarded, headers=ada), uploaded(guarded, headers=ada)
    path = f"/api/v1/videos/{video['video_id']}/file"

    # Then its key opens it, and nothing and nobody else without the link
    assert guarded.get(path, headers=ada).content == CONTENT
    assert guarded.get(path).status_code == 401
    assert guarded.get(path, headers=bob).status_code == 404
    assert guarded.get(f"/api/v1/videos/{video['video_id']}/link", headers=bob).status_code == 404

    # And the link opens it without a key, and no other video, until it expires
    link = video["storage_url"]
    assert guarded.get(link).content == CONTENT
    assert guarded.get(link, headers={"Range": "bytes=0-9"}).content == CONTENT[:10]
    query = urlsplit(link).query
    assert guarded.get(f"/api/v1/videos/{other['video_id']}/file?{query}").status_code == 401
    assert guarded.get(f"/api/v1/videos/{video['video_id']}?{query}").status_code == 401
    assert int(parse_qs(query)["expires"][0]) > time.time()
    later = link.replace("expires=", "expires=9")
    assert guarded.get(later).status_code == 401
    assert video["expires_at"]


def test_on_s3_it_is_a_redirect_and_the_page_may_load_from_there(tmp_path: Any, moto_server: S3Server) -> None:
    # Given a front end on a bucket
    settings = s3_settings(moto_server, moto_server.new_bucket())
    with (
        running_redis(tmp_path / "redis") as redis,
        running_front_end(tmp_path / "web", redis.url, storage_path=None, **settings) as front_end,
    ):
        video = uploaded(front_end)

        # When the file is fetched, then the answer leads to a signed URL, as the link does
        answer = front_end.get(f"/api/v1/videos/{video['video_id']}/file", allow_redirects=False)
        assert answer.status_code == 302
        for link in (answer.headers["Location"], video["storage_url"]):
            assert requests.get(link, timeout=30).content == CONTENT

        # And the policy of the page allows that origin, for media, pictures and fetches, and nothing else
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(video["storage_url"]))
        policy = dict(part.split(" ", 1) for part in front_end.get("/").headers["Content-Security-Policy"].split("; "))
        assert {name for name, sources in policy.items() if origin in sources} == {
            "img-src",
            "media-src",
            "connect-src",
        }
        assert policy["default-src"] == "'self'"
