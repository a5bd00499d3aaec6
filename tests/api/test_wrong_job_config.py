"""`config`: a wrong one is refused by the path of the wrong field, and nothing is kept."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from clipzy_api.inputs.request_body import BLOCK_BYTES
from clipzy_storage.models.job_config import JobConfig
from tests.support.forms import BOUNDARY, CONTENT_TYPE, mp4_bytes, part
from tests.support.job_configs import FILE, JOBS, NO_VIDEO, VIDEOS, WRONG, config_part, post_form, post_json
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually
from tests.support.wire import answer_on, connect, head


@pytest.fixture
def unchanged(front_end: FrontEnd) -> Callable[[], bool]:
    """Whether storage holds what it held when the test began, and nothing unfinished."""
    before = front_end.stored()
    return lambda: eventually(lambda: front_end.stored() == before and front_end.unfinished() == [])


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
        answer = post_json(front_end, b'{"video_id": "%s", "config": %s}' % (NO_VIDEO.encode(), text))
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


def test_an_upload_alone_has_no_config(front_end: FrontEnd, unchanged: Callable[[], bool]) -> None:
    answer = post_form(front_end, config_part("{}"), FILE, path=VIDEOS)
    assert (answer.status, answer.json()["field"]) == (422, "config")
    assert "unknown" in answer.json()["detail"]
    assert unchanged()


@pytest.mark.parametrize("name", ["template_video_id"])
def test_a_field_of_a_later_version_is_refused(front_end: FrontEnd, name: str) -> None:
    for answer in (
        post_form(front_end, FILE, part(name, b"x")).json(),
        post_json(front_end, json.dumps({"video_id": NO_VIDEO, name: "x"}).encode()).json(),
    ):
        assert (answer["code"], answer["field"]) == ("INVALID_FIELD", name)
        assert "unknown" in answer["detail"]


def test_a_config_without_a_file_is_no_submission(front_end: FrontEnd) -> None:
    answer = post_form(front_end, config_part("{}"))
    assert (answer.status, answer.json()["code"], answer.json()["field"]) == (422, "MISSING_FIELD", "file")


def test_the_boundary_of_the_form_is_none_of_the_config(front_end: FrontEnd) -> None:
    """What looks like an end of the part in the middle of it is refused as a form, not cut short as JSON."""
    text = f'{{"sprites": true}}\r\n--{BOUNDARY}x'
    answer = post_form(front_end, config_part(text), FILE)
    assert answer.status == 422
    assert CONTENT_TYPE.endswith(BOUNDARY)
