"""`config`: kept as it was meant, and described."""

import json
import re
import uuid
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests

from clipzy_api.inputs.request_body import BLOCK_BYTES
from clipzy_storage.jobs import durable_records
from clipzy_storage.models.job_config import MAX_CONFIG_BYTES, JobConfig
from clipzy_storage.models.records import EVERYONE, ErrorCode
from tests.support.forms import mp4_bytes, part
from tests.support.job_configs import EVERYTHING, FILE, JOBS, VIDEOS, WRONG, config_part, post_form, post_json
from tests.support.openapi import document_of
from tests.support.played_worker import fail
from tests.support.processes import clipzy
from tests.support.servers import FrontEnd


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
    for body in ("JobUpload", "JobRequest", "JobImport"):
        assert schemas[body]["properties"]["config"]["$ref"] == "#/components/schemas/JobConfig"
        assert "config" not in schemas[body]["required"]
    # Then each option is described with its default, in words: generators would make it required, or send it
    parts = ("ShotOptions", "SilenceOptions", "ThumbnailOptions", "ClipOptions", "SnapOptions", "RenderOptions")
    for name in ("JobConfig", *parts):
        assert schemas[name]["additionalProperties"] is False
        assert schemas[name]["description"]
        assert "required" not in schemas[name]
        for option in schemas[name]["properties"].values():
            assert "default" not in option
            says_default = re.search(r"\S+ Default: `.+`\.|[Nn]ull \w+", option.get("description", ""))
            assert "$ref" in option or says_default, option
    # And it accepts and refuses what the front end does
    jsonschema.validate(EVERYTHING, schema)
    jsonschema.validate({}, schema)
    for wrong in WRONG.values():
        if not wrong.is_valid_by_schema and wrong.field not in ("config", "config.analyses[0]"):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(json.loads(wrong.text), schema)


def test_order_and_repetition_of_analyses_change_nothing() -> None:
    one = JobConfig.model_validate({"analyses": ["style", "audio", "style"], "reuse": False})
    other = JobConfig.model_validate({"analyses": ["audio", "style"], "shots": {"sensitivity": 3}})
    assert one.effective() == other.effective()
    assert "reuse" not in one.effective()
    assert one.effective() != JobConfig().effective()
