"""API keys: who is let in, what each key allows, and whose videos and jobs it shows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import g

from clipzy_api.callers import UNKNOWN
from clipzy_api.problems import ApiError, key_needed
from clipzy_api.services import owner
from clipzy_storage import keys
from clipzy_storage.access.api_keys import ApiKeys, KeyText
from clipzy_storage.backends.base import put_bytes
from clipzy_storage.config.logs import redacted_text
from clipzy_storage.log_events import ACCESS_KEY_REFUSED, STORAGE_DAMAGED
from clipzy_storage.models.access import Scope
from tests.support.deployment import s3_settings
from tests.support.forms import mp4_bytes
from tests.support.log_lines import events_in
from tests.support.openapi import document_of, unconnected_app
from tests.support.played_worker import POSTER, complete
from tests.support.s3_servers import S3Server
from tests.support.servers import FrontEnd, running_front_end, running_redis
from tests.support.waiting import eventually

OPEN = ("/healthz", "/readyz", "/openapi.json", "/docs", "/", "/page/main.js")
ALL = (Scope.READ, Scope.WRITE)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    """A front end that asks for keys."""
    directory = tmp_path_factory.mktemp("guarded")
    (directory / "redis").mkdir()
    with (
        running_redis(directory / "redis") as redis,
        running_front_end(directory / "web", redis.url, CLIPZY_AUTH="keys") as running,
    ):
        yield running


def key_for(
    front_end: FrontEnd, owner: str = "everyone", *scopes: Scope, expires_at: datetime | None = None
) -> dict[str, str]:
    """The headers of a caller with a new key."""
    made = ApiKeys(front_end.storage).create("test", owner=owner, scopes=scopes or ALL, expires_at=expires_at)
    return bearing(str(made[1]))


def bearing(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def is_accepted(front_end: FrontEnd, headers: dict[str, str]) -> bool:
    return front_end.get("/api/v1/jobs", headers=headers).status_code == 200


def submit_as(front_end: FrontEnd, headers: dict[str, str]) -> Any:
    files = {"file": ("holiday.mp4", mp4_bytes(1000))}
    answer = front_end.post("/api/v1/jobs", files=files, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def ada(guarded: FrontEnd) -> dict[str, str]:
    headers = key_for(guarded, "ada")
    eventually(lambda: is_accepted(guarded, headers), "a front end that knows the key")
    return headers


@pytest.fixture(scope="module")
def bob(guarded: FrontEnd) -> dict[str, str]:
    headers = key_for(guarded, "bob")
    eventually(lambda: is_accepted(guarded, headers), "a front end that knows the key")
    return headers


@pytest.mark.parametrize("path", OPEN)
def test_these_need_no_key(path: str, guarded: FrontEnd) -> None:
    assert guarded.get(path).status_code == 200


def test_everything_else_does(guarded: FrontEnd) -> None:
    calls = [(path, method) for path, methods in document_of(guarded)["paths"].items() for method in methods]
    for path, method in [*calls, ("/api/v1/nothing", "get"), ("/nothing", "post")]:
        if path in OPEN or path.startswith("/docs/"):
            continue
        answer = requests.request(method, guarded.url + path, timeout=30)
        assert answer.status_code == 401, path
        assert method == "head" or answer.json()["code"] == "UNAUTHORIZED"
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "sent",
    ["", "Bearer", "Bearer x", "Basic Y2x6OmNseg==", "Bearer clz_short_x", f"Bearer clz_{'a' * 12}_{'b' * 43}"],
)
def test_what_is_no_key_is_refused(sent: str, guarded: FrontEnd) -> None:
    answer = guarded.get("/api/v1/jobs", headers={"Authorization": sent})
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_the_id_of_a_key_without_its_secret_is_refused(guarded: FrontEnd, ada: dict[str, str]) -> None:
    text = ada["Authorization"]
    changed = text[:-1] + ("a" if text[-1] != "a" else "b")
    assert guarded.get("/api/v1/jobs", headers={"Authorization": changed}).status_code == 401


def test_the_log_says_which_key_was_refused_and_why(guarded: FrontEnd, tmp_path: Path) -> None:
    # Given a front end that has logged nothing yet, a key that is revoked, one that has expired, and one that may read
    api_keys = ApiKeys(guarded.storage)
    texts = {
        reason: api_keys.create("test", owner="eve", scopes=[Scope.READ], expires_at=expires_at)[1]
        for reason, expires_at in (
            ("revoked", None),
            ("expired", datetime.now(UTC) - timedelta(seconds=1)),
            ("lacks the scope", None),
        )
    }
    api_keys.revoke(texts["revoked"].key_id)
    texts["wrong secret"] = KeyText(texts["expired"].key_id, "y" * 43)
    with running_front_end(
        tmp_path / "web", guarded.redis_url, storage_path=guarded.root, CLIPZY_AUTH="keys"
    ) as front_end:
        # When all are tried after many that nobody has
        unknown = KeyText("x" * 12, "y" * 43)
        for _ in range(20):
            assert front_end.get("/api/v1/jobs", headers=bearing(str(unknown))).status_code == 401
        for text in texts.values():
            assert front_end.post("/api/v1/jobs", json={}, headers=bearing(str(text))).status_code in (401, 403)
        # Then each reason is logged, with the id of the key, and no secret
        output = front_end.process.output()
    for reason, text in {"unknown": unknown, **texts}.items():
        (line,) = events_in(output, ACCESS_KEY_REFUSED, key_id=text.key_id, refused=1, reason=reason)
        assert text.secret not in line.fields


def test_an_expired_key_is_refused(guarded: FrontEnd) -> None:
    headers = key_for(guarded, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    eventually(
        lambda: "expired" in guarded.get("/api/v1/jobs", headers=headers).json()["detail"], "a key that is known"
    )


def test_a_revoked_key_is_refused_within_seconds(guarded: FrontEnd) -> None:
    # Given a key that is used
    api_keys = ApiKeys(guarded.storage)
    key, text = api_keys.create("test", owner="everyone", scopes=ALL, expires_at=None)
    eventually(lambda: is_accepted(guarded, bearing(str(text))), "a front end that knows the key")
    # When it is revoked
    api_keys.revoke(key.key_id)
    # Then it is refused soon
    eventually(lambda: not is_accepted(guarded, bearing(str(text))), "a key that is refused", seconds=5)


@pytest.mark.parametrize(("scope", "reads", "writes"), [(Scope.READ, 200, 403), (Scope.WRITE, 403, 422)])
def test_a_key_allows_what_its_scopes_say(scope: Scope, reads: int, writes: int, guarded: FrontEnd) -> None:
    headers = key_for(guarded, "everyone", scope)
    eventually(lambda: guarded.get("/api/v1/jobs", headers=headers).status_code == reads, "a key that is known")
    answer = guarded.post("/api/v1/jobs", json={}, headers=headers)
    assert answer.status_code == writes
    if writes == 403:
        assert answer.json()["code"] == "FORBIDDEN"


def test_a_preflight_needs_none(guarded: FrontEnd) -> None:
    headers = {"Origin": "http://x.example", "Access-Control-Request-Method": "POST"}
    assert requests.options(f"{guarded.url}/api/v1/jobs", headers=headers, timeout=30).status_code == 200


def test_the_caller_is_told_who_it_is(guarded: FrontEnd, ada: dict[str, str]) -> None:
    told = guarded.get("/api/v1/me", headers=ada).json()
    assert told["owner"] == "ada"
    assert told["key"] == {"name": "test", "scopes": ["read", "write"], "expires_at": None}


def test_what_belongs_to_another_is_not_there(guarded: FrontEnd, ada: dict[str, str], bob: dict[str, str]) -> None:
    """Every operation answers as it does for ids that do not exist."""
    # Given a completed job of Ada's, and an upload
    job = submit_as(guarded, ada)
    complete(guarded, job["job_id"])
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000"}
    begun = guarded.post("/api/v1/uploads", headers=ada | tus).headers["Location"].rpartition("/")[2]
    known = {"job_id": job["job_id"], "video_id": job["video_id"], "upload_id": begun, "name": "poster.jpg"}
    none = {"job_id": "job_" + "0" * 26, "video_id": "vid_" + "0" * 26, "upload_id": "vid_" + "0" * 26} | {
        "name": "poster.jpg"
    }
    for ids in (known, none):
        ids["delivery_id"] = "dlv_" + "0" * 26
        ids["format"] = "edl"
    sent = bob | tus | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    # When Bob calls everything with her ids, and with ids that nobody has
    calls = [(path, method) for path, methods in document_of(guarded)["paths"].items() for method in methods]
    tried = 0
    for path, method in calls:
        if "_id}" not in path:
            continue
        tried += 1
        one, other = (
            requests.request(method, guarded.url + path.format(**ids), headers=sent, timeout=30)
            for ids in (known, none)
        )
        # Then the answers are the same
        assert (one.status_code, one.content) == (other.status_code, other.content), path
        assert one.status_code == (409 if "/s3/" in path else 404)  # there are none on local storage
    assert tried >= 11
    # And they are in no list of his, and cannot be used
    assert job["job_id"] not in guarded.get("/api/v1/jobs", headers=bob).text
    answer = guarded.post("/api/v1/jobs", json={"video_id": job["video_id"]}, headers=bob)
    assert (answer.status_code, answer.json()["code"]) == (404, "VIDEO_NOT_FOUND")
    # And Ada has them
    assert guarded.get(f"/api/v1/jobs/{job['job_id']}", headers=ada).json()["status"] == "completed"


def test_an_idempotency_key_is_of_one_owner(guarded: FrontEnd, ada: dict[str, str], bob: dict[str, str]) -> None:
    shared = {"Idempotency-Key": "the-same"}
    first, second = (submit_as(guarded, headers | shared) for headers in (ada, bob))
    assert first["job_id"] != second["job_id"]


def test_a_link_opens_without_a_key(guarded: FrontEnd, ada: dict[str, str], bob: dict[str, str]) -> None:
    # Given links to a result
    job = submit_as(guarded, ada)
    complete(guarded, job["job_id"])
    shown = guarded.get(f"/api/v1/jobs/{job['job_id']}", headers=ada).json()["result"]
    (artifact,) = guarded.get(f"/api/v1/jobs/{job['job_id']}/result", headers=ada).json()["artifacts"]
    # When they are followed without a key, Then they open, and say when they will not any more
    assert guarded.get(shown["storage_url"]).json()["job_id"] == job["job_id"]
    assert datetime.fromisoformat(shown["expires_at"]) > datetime.now(UTC) + timedelta(minutes=50)
    link = artifact["storage_url"]
    assert guarded.get(link).content == POSTER
    assert guarded.get(link, headers={"Range": "bytes=0-9"}).content == POSTER[:10]
    # And without their signature, or with it at another address or for another time, they do not
    path, _, query = link.partition("?")
    other = shown["storage_url"].partition("?")[0]
    for wrong in (path, f"{other}?{query}", link.replace("expires=", "expires=1"), link[:-3] + "abc", f"{path}?x=1"):
        answer = guarded.get(wrong)
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED"), wrong
    # And with a key of its owner the address opens as it is, with that of another it does not
    assert guarded.get(path, headers=ada).content == POSTER
    assert guarded.get(path, headers=bob).status_code == 404


def test_a_link_opens_whatever_else_is_sent(guarded: FrontEnd, ada: dict[str, str], bob: dict[str, str]) -> None:
    """A browser behind a proxy with passwords sends its `Authorization` along."""
    # Given a link, and keys that do not open what it leads to
    job = submit_as(guarded, ada)
    complete(guarded, job["job_id"])
    link = guarded.get(f"/api/v1/jobs/{job['job_id']}", headers=ada).json()["result"]["storage_url"]
    others = [
        {"Authorization": "Basic YWRhOmFkYQ=="},
        {"Authorization": "Bearer x"},
        key_for(guarded, "ada", Scope.WRITE),
        key_for(guarded, "ada", expires_at=datetime.now(UTC) - timedelta(seconds=1)),
        bob,
    ]
    # When it is followed with each of them, Then it opens
    for headers in others:
        assert guarded.get(link, headers=headers).status_code == 200, headers
    # And a wrong signature is not mended by a good key
    assert guarded.get(link[:-3] + "abc", headers=ada).status_code == 401


def test_no_link_is_checked_on_s3(moto_server: S3Server, tmp_path: Path) -> None:
    # Given a front end on a bucket
    bucket = moto_server.new_bucket()
    settings: dict[str, Any] = s3_settings(moto_server, bucket)
    with (
        running_redis(tmp_path / "redis") as redis,  # of its own, since it is of another storage
        running_front_end(tmp_path / "web", redis.url, CLIPZY_AUTH="keys", **settings) as front_end,
    ):
        # When anybody follows what looks like a link to local storage
        answer = front_end.get(f"/storage/results/job_{'0' * 26}/output.json?expires=1&signature=x")
    # Then there is nothing, and nothing is written to the bucket for it
    assert (answer.status_code, answer.json()["code"]) == (404, "FILE_NOT_FOUND")
    assert ".clipzy/link-secret" not in moto_server.keys(bucket)


def test_a_damaged_record_of_a_video_belongs_to_nobody(guarded: FrontEnd, ada: dict[str, str]) -> None:
    # Given a video whose record was damaged by hand
    video_id, none = keys.new_id("vid"), keys.new_id("vid")
    put_bytes(guarded.storage, keys.video_record(video_id), b"\x00 not json", content_type="application/json")
    # Then it is answered like one that does not exist, and the log names the file
    damaged, missing = (guarded.get(f"/api/v1/videos/{name}", headers=ada) for name in (video_id, none))
    assert (damaged.status_code, damaged.content) == (missing.status_code, missing.content)
    assert damaged.status_code == 404
    assert events_in(guarded.process.output(), STORAGE_DAMAGED, reason=f"{keys.video_record(video_id)} is damaged")


def test_who_came_without_a_key_has_no_owner(tmp_path: Path) -> None:
    """However a request without one reaches a view, it sees nothing of anybody."""
    with unconnected_app(tmp_path).test_request_context():
        g.caller = UNKNOWN
        with pytest.raises(ApiError) as refusal:
            owner()
    assert refusal.value.code == "UNAUTHORIZED"


def test_keys_are_not_in_the_log(guarded: FrontEnd, ada: dict[str, str]) -> None:
    secret = ada["Authorization"].rpartition("_")[2]
    assert "access.key_used" in guarded.process.output()
    assert secret not in guarded.process.output()


def test_the_advice_of_a_refusal_is_not_taken_for_a_secret() -> None:
    """Commands print it without secrets."""
    detail = key_needed().detail
    assert redacted_text(detail) == detail
