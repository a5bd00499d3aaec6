"""`config`: kept as it was meant, or refused by the path of the wrong field."""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
from pydantic import ValidationError

from clipzy_api.inputs.request_body import BLOCK_BYTES
from clipzy_storage.jobs import durable_records
from clipzy_storage.models.job_config import MAX_CONFIG_BYTES, JobConfig
from clipzy_storage.models.records import EVERYONE, ErrorCode
from tests.support.forms import BOUNDARY, CONTENT_TYPE, form, mp4_bytes, part
from tests.support.openapi import document_of
from tests.support.played_worker import fail
from tests.support.processes import clipzy
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually
from tests.support.wire import Answer, answer_on, connect, exchange, head

JOBS, VIDEOS = "/api/v1/jobs", "/api/v1/videos"
FILE = part("file", mp4_bytes(1000), filename="holiday.mp4")
EVERYTHING = {
    "analyses": ["style", "audio"],
    "shots": {"sensitivity": 2, "min_seconds": 0.5},
    "silence": {"threshold_dbfs": -40.5, "min_seconds": 1},
    "thumbnails": {"per": "interval", "interval_seconds": 2.5, "width": 640},
    "sprites": False,
    "reuse": False,
}


@dataclass(frozen=True)
class Wrong:
    """JSON text, the field that the answer names, and words of the answer."""

    text: str | bytes
    field: str
    words: tuple[str, ...]


WRONG = {
    "no JSON": Wrong("{", "config", ("JSON object",)),
    "empty": Wrong("", "config", ("JSON object",)),
    "two values": Wrong("{} {}", "config", ("JSON object",)),
    "no text": Wrong(b'{"sprites": "\xff"}', "config", ("JSON object", "unicode")),
    "list": Wrong("[1]", "config", ("a JSON object",)),
    "null": Wrong("null", "config", ("a JSON object",)),
    "text": Wrong('"{}"', "config", ("a JSON object",)),
    "NaN": Wrong('{"shots": {"sensitivity": NaN}}', "config", ("JSON object", "column 27")),
    "infinity": Wrong('{"shots": {"sensitivity": -Infinity}}', "config", ("invalid number",)),
    "a number beyond all": Wrong('{"shots": {"sensitivity": 1e999}}', "config.shots.sensitivity", ("finite",)),
    "a number of many digits": Wrong('{"thumbnails": {"width": %s}}' % ("9" * 5000), "config", ("out of range",)),
    "a number of many digits more": Wrong(
        '{"thumbnails": {"width": %s}}' % ("9" * 4300), "config.thumbnails.width", ()
    ),
    "half a character": Wrong('{"\\ud800": 1}', "config", ("hex escape",)),
    "the other half": Wrong('{"\\udc00": 1}', "config", ("hex escape",)),
    "deep": Wrong("[" * 8000 + "]" * 8000, "config", ("recursion limit",)),
    "deep objects": Wrong('{"a":' * 2500 + "1" + "}" * 2500, "config", ("recursion limit",)),
    "too long": Wrong(json.dumps({"analyses": ["audio"] * 2000}), "config", ("at most 16 KiB",)),
    "unknown": Wrong('{"colour": 1}', "config.colour", ("unknown",)),
    "unknown below": Wrong('{"shots": {"speed": 1}}', "config.shots.speed", ("unknown",)),
    "later": Wrong('{"webhook_url": "x"}', "config.webhook_url", ("unknown",)),
    "too small": Wrong('{"shots": {"sensitivity": 0.5}}', "config.shots.sensitivity", ("is 0.5", "equal to 1.")),
    "too large": Wrong('{"shots": {"sensitivity": 21}}', "config.shots.sensitivity", ("is 21", "equal to 20.")),
    "loud": Wrong('{"silence": {"threshold_dbfs": 0}}', "config.silence.threshold_dbfs", ("is 0", "equal to -10.")),
    "number as text": Wrong('{"shots": {"sensitivity": "3"}}', "config.shots.sensitivity", ('is "3"', "valid number")),
    "true for a number": Wrong('{"shots": {"sensitivity": true}}', "config.shots.sensitivity", ("is true",)),
    "null for a number": Wrong('{"shots": {"sensitivity": null}}', "config.shots.sensitivity", ("is null",)),
    "half a pixel": Wrong('{"thumbnails": {"width": 320.5}}', "config.thumbnails.width", ("is 320.5", "valid integer")),
    "one for true": Wrong('{"sprites": 1}', "config.sprites", ("is 1", "valid boolean")),
    "text for false": Wrong('{"reuse": "false"}', "config.reuse", ("valid boolean",)),
    "no object": Wrong('{"shots": [1]}', "config.shots", ("is [1]", "valid dictionary")),
    "another word": Wrong(
        '{"thumbnails": {"per": "film"}}', "config.thumbnails.per", ("'shot', 'interval' or 'none'",)
    ),
    "no list": Wrong('{"analyses": "audio"}', "config.analyses", ('is "audio"', "valid list")),
    "no such analysis": Wrong(
        '{"analyses": ["audio", "smell"]}', "config.analyses[1]", ('is "smell"', "'audio', 'motion'")
    ),
}


@pytest.fixture
def unchanged(front_end: FrontEnd) -> Callable[[], bool]:
    """Whether storage holds what it held when the test began, and nothing unfinished."""
    before = front_end.stored()
    return lambda: eventually(lambda: front_end.stored() == before and front_end.unfinished() == [])


def post_form(front_end: FrontEnd, *parts: bytes, path: str = JOBS) -> Answer:
    body = form(*parts)
    return exchange(front_end.port, head(path, length=len(body)), body)


def post_json(front_end: FrontEnd, text: bytes) -> requests.Response:
    return front_end.post(JOBS, data=text, headers={"Content-Type": "application/json"})


def config_part(text: str | bytes) -> bytes:
    return part("config", text.encode() if isinstance(text, str) else text)


@pytest.fixture(scope="module")
def video_id(front_end: FrontEnd) -> str:
    return str(post_form(front_end, FILE, path=VIDEOS).json()["video_id"])


@pytest.mark.parametrize(
    "config",
    [{}, {"sprites": False}, {"shots": {}}, {"analyses": []}, {"thumbnails": {"width": 320.0}}, EVERYTHING],
    ids=str,
)
@pytest.mark.parametrize("way", ["before the file", "after the file", "as a file", "JSON"])
def test_a_config_is_shown_as_it_was_meant(
    front_end: FrontEnd, video_id: str, config: dict[str, Any], way: str
) -> None:
    # When a job is submitted with options
    text = json.dumps(config)
    if way == "JSON":
        answer = post_json(front_end, json.dumps({"video_id": video_id, "config": config}).encode()).json()
    else:
        options = part("config", text.encode(), filename="config.json") if way == "as a file" else config_part(text)
        answer = post_form(front_end, *([FILE, options] if way == "after the file" else [options, FILE])).json()
    # Then the job has those, and only those, as has its record
    assert answer["config"] == config
    assert front_end.get(f"{JOBS}/{answer['job_id']}").json()["config"] == config
    assert front_end.store.look_up(answer["job_id"], owner=EVERYONE)[0].config == config


def test_a_long_config_is_kept_without_its_repetitions(front_end: FrontEnd, video_id: str) -> None:
    # Given the longest list that a config may have
    longest = {"analyses": ["audio", "style"] * 800}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    # When a job is submitted with it, and once more under the same key
    answers = [front_end.post(JOBS, json={"video_id": video_id, "config": longest}, headers=key) for _ in range(2)]
    # Then that is one job, which names each analysis once, in both of its records
    first, again = (answer.json() for answer in answers)
    assert first["job_id"] == again["job_id"]
    assert first["config"] == {"analyses": ["audio", "style"]}
    assert durable_records.read_open(front_end.storage, first["job_id"]).config == first["config"]
    assert front_end.store.look_up(first["job_id"], owner=EVERYONE)[0].config == first["config"]


@pytest.mark.parametrize(
    "body",
    [
        {f"field-{number}": 0 for number in range(50_000)},
        {"config": {f"{number:x}": 0 for number in range(1_300)}},
        {"config": {"shots": {f"{number:x}": 0 for number in range(1_300)}}},
        {"config": {"analyses": [0] * 5_000}},
        {"x" * 1_000_000: 0},
    ],
    ids=["fields", "options", "options below", "names", "one long field"],
)
def test_many_mistakes_are_refused_at_the_first(front_end: FrontEnd, body: dict[str, Any]) -> None:
    # When thousands of unknown fields or wrong values are sent
    answer = post_json(front_end, json.dumps(body).encode())
    # Then the answer is about the first one, and short
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_FIELD")
    first = next(iter(body.get("config", body)))
    expected = {"shots": "config.shots.0", "analyses": "config.analyses[0]", "0": "config.0"}
    assert answer.json()["field"] == expected.get(first, first[:80] + ("…" if len(first) > 80 else ""))
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    "config", [{f"{number:x}": 0 for number in range(1_300)}, {"analyses": [0] * 5_000}], ids=["options", "names"]
)
def test_of_many_mistakes_one_is_collected(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        JobConfig.model_validate(config)
    assert caught.value.error_count() == 1


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("way", ["before the file", "after the file", "JSON"])
def test_a_wrong_config_is_refused_by_its_path(
    front_end: FrontEnd, unchanged: Callable[[], bool], way: str, case: str
) -> None:
    # Given options that are wrong in one way
    wrong = WRONG[case]
    text = wrong.text.encode() if isinstance(wrong.text, str) else wrong.text
    # When they are sent
    if way == "JSON":
        answer = post_json(front_end, b'{"video_id": "vid_00000000000000000000000000", "config": ' + text + b"}")
        status, problem = answer.status_code, answer.json()
    else:
        parts = [FILE, config_part(text)] if way == "after the file" else [config_part(text), FILE]
        form_answer = post_form(front_end, *parts)
        status, problem = form_answer.status, form_answer.json()
    # Then the answer names the field, what was found and what it should be, and nothing is kept
    assert (status, problem["code"]) == (422, "INVALID_FIELD"), problem
    is_about_json = way == "JSON" and wrong.field == "config"
    assert problem["field"] in ({"config", "body"} if is_about_json else {wrong.field})
    if not is_about_json:
        assert f"`{wrong.field}`" in problem["detail"]
        assert all(word in problem["detail"] for word in wrong.words), problem
    assert unchanged()


@pytest.mark.parametrize("case", ["unknown", "too large", "too long", "no JSON"])
def test_a_wrong_config_is_refused_before_the_file_arrives(front_end: FrontEnd, case: str) -> None:
    # Given a client that has sent a wrong config, and waits before it sends 40 MB
    beginning = config_part(WRONG[case].text) + part("file", b"", filename="a.mp4")
    with connect(front_end.port) as connection:
        connection.sendall(head(JOBS, length=40_000_000) + beginning + mp4_bytes(1000))
        connection.sendall(bytes(600_000))
        # Then it is refused immediately
        answer = answer_on(connection)
    assert (answer.status, answer.json()["field"]) == (422, WRONG[case].field)
    assert eventually(lambda: front_end.unfinished() == [])


@pytest.mark.parametrize("file", [b"", FILE], ids=["before", "after the file"])
def test_a_config_that_does_not_end_is_not_collected(
    front_end: FrontEnd, unchanged: Callable[[], bool], file: bytes
) -> None:
    # Given a client that sends a config without an end, and waits in the middle of it
    with connect(front_end.port) as connection:
        connection.sendall(head(JOBS, length=40_000_000) + file + config_part(b" " * 600_000))
        # Then it is refused immediately
        answer = answer_on(connection)
    assert (answer.status, answer.json()["field"]) == (422, "config")
    assert "at most 16 KiB" in answer.json()["detail"]
    assert unchanged()


def test_a_config_of_a_whole_block_is_no_part_of_the_file(front_end: FrontEnd) -> None:
    """The file's own blocks go around the form's decoder; those of a config must not, or they end up in the file."""
    framing = len(part("file", b"", filename="holiday.mp4"))
    file = part("file", mp4_bytes(BLOCK_BYTES - framing - 5000), filename="holiday.mp4")
    answer = post_form(front_end, file, config_part(" " * (BLOCK_BYTES + 10_000) + "{}"))
    assert (answer.status, answer.json()["field"]) == (422, "config")


def test_a_long_name_is_shortened_in_the_answer(front_end: FrontEnd) -> None:
    answer = post_form(front_end, config_part(json.dumps({"x" * 10_000: 1})), FILE).json()
    assert answer["field"].startswith("config.xxx")
    assert len(answer["detail"]) < 500


@pytest.mark.parametrize("texts", [("{}", "{}"), ('{"sprites": true}', '{"sprites": false}')], ids=str)
def test_one_config_is_enough(front_end: FrontEnd, unchanged: Callable[[], bool], texts: tuple[str, str]) -> None:
    for parts in ([*map(config_part, texts), FILE], [config_part(texts[0]), FILE, config_part(texts[1])]):
        answer = post_form(front_end, *parts)
        assert (answer.status, answer.json()["code"], answer.json()["field"]) == (422, "INVALID_FIELD", "config")
    assert unchanged()


def test_a_config_may_be_as_long_as_documented(front_end: FrontEnd) -> None:
    text = '{"sprites": true' + " " * (MAX_CONFIG_BYTES - 17) + "}"
    assert len(text) == MAX_CONFIG_BYTES
    assert post_form(front_end, config_part(text), FILE).json()["config"] == {"sprites": True}


@pytest.mark.parametrize("before_bytes", [0, 1, 5, 60, 100, 150, 300, 450, 470, 500])
def test_a_config_across_the_end_of_a_block_is_whole(front_end: FrontEnd, before_bytes: int) -> None:
    # Given a file after which this much of the config is before the end of a block
    framing = len(part("file", b"", filename="holiday.mp4"))
    file = part("file", mp4_bytes(BLOCK_BYTES - framing - before_bytes), filename="holiday.mp4")
    # Then all of it is read
    answer = post_form(front_end, file, config_part(json.dumps(EVERYTHING)))
    assert (answer.status, answer.json()["config"]) == (202, EVERYTHING)


def test_an_upload_alone_has_no_config(front_end: FrontEnd, unchanged: Callable[[], bool]) -> None:
    answer = post_form(front_end, config_part("{}"), FILE, path=VIDEOS)
    assert (answer.status, answer.json()["field"]) == (422, "config")
    assert "unknown" in answer.json()["detail"]
    assert unchanged()


@pytest.mark.parametrize("name", ["template_video_id", "webhook_url"])
def test_a_field_of_a_later_version_is_refused(front_end: FrontEnd, video_id: str, name: str) -> None:
    for answer in (
        post_form(front_end, FILE, part(name, b"x")).json(),
        post_json(front_end, json.dumps({"video_id": video_id, name: "x"}).encode()).json(),
    ):
        assert (answer["code"], answer["field"]) == ("INVALID_FIELD", name)
        assert "unknown" in answer["detail"]


def test_a_config_without_a_file_is_no_submission(front_end: FrontEnd) -> None:
    answer = post_form(front_end, config_part("{}"))
    assert (answer.status, answer.json()["code"], answer.json()["field"]) == (422, "MISSING_FIELD", "file")


def test_a_retry_keeps_the_config(front_end: FrontEnd) -> None:
    # Given a job with options that has failed
    job_id = post_form(front_end, config_part(json.dumps(EVERYTHING)), FILE).json()["job_id"]
    fail(front_end, job_id, ErrorCode.PROCESSING_FAILED, "no luck")
    # When it is tried once more
    again = front_end.post(f"{JOBS}/{job_id}/retry").json()
    # Then with the same options
    assert again["job_id"] != job_id
    assert again["config"] == EVERYTHING


def test_the_config_is_part_of_the_fingerprint_of_a_key(front_end: FrontEnd, video_id: str) -> None:
    """Without it in the fingerprint, other options under the same key would be taken and ignored."""
    files = {"file": ("holiday.mp4", mp4_bytes(1000))}

    def upload(key: str, config: dict[str, Any] | None) -> requests.Response:
        data = {} if config is None else {"config": json.dumps(config)}
        return front_end.post(JOBS, files=files, data=data, headers={"Idempotency-Key": key})

    # Given submissions under keys, one with options and one without
    key, plain_key, json_key = (uuid.uuid4().hex for _ in range(3))
    first, plain = upload(key, {"sprites": False, "reuse": False}), upload(plain_key, None)
    # Then the same again finds the same job, in whatever order its fields come
    assert upload(key, {"reuse": False, "sprites": False}).json() == first.json()
    assert upload(plain_key, None).json()["job_id"] == plain.json()["job_id"]
    # And other options are another request
    stored = front_end.stored()
    for used, config in ((key, {"sprites": True, "reuse": False}), (key, None), (plain_key, {"sprites": True})):
        assert upload(used, config).json()["code"] == "IDEMPOTENCY_MISMATCH"
    named = {"Idempotency-Key": json_key}
    in_json = front_end.post(JOBS, json={"video_id": video_id, "config": {"sprites": False}}, headers=named)
    assert in_json.status_code == 202
    other = front_end.post(JOBS, json={"video_id": video_id, "config": {"sprites": True}}, headers=named)
    assert other.json()["code"] == "IDEMPOTENCY_MISMATCH"
    assert [key for key in front_end.stored() if in_json.json()["job_id"] not in key] == stored


def test_the_command_sends_one(front_end: FrontEnd, tmp_path: Path) -> None:
    # When a file is submitted by the command, with options that are right and with wrong ones
    (tmp_path / "holiday.mp4").write_bytes(mp4_bytes(1000))
    finished, refused = (
        clipzy("submit", "holiday.mp4", "--json", "--config", text, cwd=tmp_path, CLIPZY_URL=front_end.url)
        for text in ('{"sprites": false}', '{"sprites": "no"}')
    )
    # Then the job has them, or the command prints what is wrong
    assert (finished.returncode, json.loads(finished.stdout)["config"]) == (0, {"sprites": False})
    assert refused.returncode != 0
    assert "config.sprites" in refused.stderr


def test_the_description_has_every_option(front_end: FrontEnd) -> None:
    # Given the schema of a config in the OpenAPI document
    document = document_of(front_end)
    schemas = document["components"]["schemas"]
    schema = schemas["JobConfig"] | {"components": document["components"]}
    for body in ("JobUpload", "JobRequest"):
        assert schemas[body]["properties"]["config"]["$ref"] == "#/components/schemas/JobConfig"
        assert "config" not in schemas[body]["required"]
    # Then each option is described with its default, in words: generators would make it required, or send it
    for name in ("JobConfig", "ShotOptions", "SilenceOptions", "ThumbnailOptions"):
        assert schemas[name]["additionalProperties"] is False
        assert schemas[name]["description"]
        assert "required" not in schemas[name]
        for option in schemas[name]["properties"].values():
            assert "default" not in option
            assert "$ref" in option or re.search(r"\S+ Default: `.+`\.", option["description"])
    # And it accepts and refuses what the front end does
    jsonschema.validate(EVERYTHING, schema)
    jsonschema.validate({}, schema)
    for wrong in WRONG.values():
        if wrong.field != "config" and wrong.field != "config.analyses[0]":
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(json.loads(wrong.text), schema)


def test_order_and_repetition_of_analyses_change_nothing() -> None:
    one = JobConfig.model_validate({"analyses": ["style", "audio", "style"], "reuse": False})
    other = JobConfig.model_validate({"analyses": ["audio", "style"], "shots": {"sensitivity": 3}})
    assert one.effective() == other.effective()
    assert "reuse" not in one.effective()
    assert one.effective() != JobConfig().effective()


def test_the_boundary_of_the_form_is_none_of_the_config(front_end: FrontEnd) -> None:
    """What looks like an end of the part in the middle of it is refused as a form, not cut short as JSON."""
    text = f'{{"sprites": true}}\r\n--{BOUNDARY}x'
    answer = post_form(front_end, config_part(text), FILE)
    assert answer.status == 422
    assert CONTENT_TYPE.endswith(BOUNDARY)
