"""Exports over HTTP: of every completed job, as attachments, made anew for each request."""

import csv
import io
import json
from typing import Any

import opentimelineio as otio
import pytest
import requests

from clipzy_api.exports import FORMAT_NAMES, MAX_MEDIA_LENGTH
from clipzy_api.large_answers import WHOLE_ANSWER_BYTES
from clipzy_storage.models.records import ErrorCode
from tests.exports.documents import output
from tests.support import played_worker
from tests.support.openapi import assert_described, document_of
from tests.support.servers import FrontEnd

JOBS = "/api/v1/jobs"
EXPORT = f"{JOBS}/{{job_id}}/export/{{format}}"


@pytest.fixture(scope="module")
def job_id(front_end: FrontEnd) -> str:
    return played_worker.publish(
        front_end, output(shots=(0, 250, 600, 1000), clips=[(100, 200)], filename="Meer & Möwe.mp4")
    )


def export(front_end: FrontEnd, job_id: str, format_name: str, **options: Any) -> requests.Response:
    return requests.get(f"{front_end.api}/jobs/{job_id}/export/{format_name}", timeout=30, **options)


@pytest.mark.parametrize(
    ("format_name", "content_type", "extension"),
    [
        ("otio", "application/json", "otio"),
        ("edl", "text/plain; charset=utf-8", "edl"),
        ("fcpxml", "application/xml; charset=utf-8", "fcpxml"),
        ("fcp7", "application/xml; charset=utf-8", "xml"),
        ("csv", "text/csv; charset=utf-8; header=present", "csv"),
        ("vtt", "text/vtt; charset=utf-8", "vtt"),
        ("ffmetadata", "text/plain; charset=utf-8", "ffmeta"),
    ],
)
def test_every_format_is_an_attachment_of_its_type(
    format_name: str, content_type: str, extension: str, front_end: FrontEnd, job_id: str
) -> None:
    # When a job is exported
    answer = export(front_end, job_id, format_name)

    # Then the answer is as it is described, with a name in ASCII and the real one
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)
    name = f"Meer & M_we-shots.{extension}"
    real = f"Meer%20%26%20M%C3%B6we-shots.{extension}"
    assert answer.headers["Content-Disposition"] == f"attachment; filename=\"{name}\"; filename*=UTF-8''{real}"
    assert_described(document_of(front_end), EXPORT, answer)
    # And is not sent again while nothing has changed
    again = export(front_end, job_id, format_name, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert_described(document_of(front_end), EXPORT, again)
    clips = export(front_end, job_id, format_name, params={"of": "clips"})
    assert clips.headers["ETag"] != answer.headers["ETag"]


def test_shots_are_exported_unless_clips_are_asked_for(front_end: FrontEnd, job_id: str) -> None:
    for query, names in (
        ({}, ["shot-000", "shot-001", "shot-002"]),
        ({"of": ""}, ["shot-000"]),
        ({"of": "clips"}, ["clip-00"]),
    ):
        timeline: Any = otio.adapters.read_from_string(
            export(front_end, job_id, "otio", params=query).text, "otio_json"
        )
        assert [clip.name for clip in timeline.tracks[0].find_clips()][: len(names)] == names


def test_the_video_is_named_as_the_caller_says(front_end: FrontEnd, job_id: str) -> None:
    named = export(front_end, job_id, "edl", params={"media": "/Volumes/day 1/Möwe.mov"})
    assert "* FROM CLIP NAME: Möwe.mov\n" in named.text
    for query in ({}, {"media": ""}):
        assert "* FROM CLIP NAME: Meer & Möwe.mp4\n" in export(front_end, job_id, "edl", params=query).text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("of=frames", "of"),
        ("of=shots&of=clips", "of"),
        ("format=edl", "format"),
        ("media=" + "a" * (MAX_MEDIA_LENGTH + 1), "media"),
        ("media=a%00b", "media"),
        ("media=a%0D%0A*%20FROM%20CLIP%20NAME:%20b", "media"),
        ("media=%E2%80%A8", "media"),
        ("media=%EF%BF%BF", "media"),
    ],
)
def test_a_wrong_query_is_refused_with_its_field(query: str, field: str, front_end: FrontEnd, job_id: str) -> None:
    answer = requests.get(f"{front_end.api}/jobs/{job_id}/export/edl?{query}", timeout=30)

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "INVALID_FIELD", field)
    assert len(answer.text) < 1000
    assert_described(document_of(front_end), EXPORT, answer)


@pytest.mark.parametrize("format_name", ["xml", "EDL", "edl%00", "a" * 2000])
def test_an_unknown_format_is_not_there(format_name: str, front_end: FrontEnd, job_id: str) -> None:
    answer = export(front_end, job_id, format_name)

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert all(name in answer.json()["detail"] for name in FORMAT_NAMES)
    assert len(answer.text) < 1000


def test_a_job_without_a_result_has_no_export(front_end: FrontEnd) -> None:
    # Given a job that waits, one that failed, one that was cancelled, one whose result has expired, and none
    waiting, failed, cancelled = (played_worker.submit(front_end)["job_id"] for _ in range(3))
    played_worker.fail(front_end, failed, ErrorCode.INVALID_MEDIA, "There is no video track.")
    front_end.post(f"{JOBS}/{cancelled}/cancel")
    expired = played_worker.publish(front_end, output())
    played_worker.expire(front_end, expired)
    expected = {
        waiting: (409, "JOB_NOT_FINISHED"),
        failed: (409, "INVALID_MEDIA"),
        cancelled: (409, "JOB_CANCELLED"),
        expired: (410, "RESULT_EXPIRED"),
        "job_" + "0" * 26: (404, "JOB_NOT_FOUND"),
    }

    # Then each answers as its result does
    for job_id, problem in expected.items():
        answer, result = export(front_end, job_id, "edl"), front_end.get(f"{JOBS}/{job_id}/result")
        assert (answer.status_code, answer.json()["code"]) == problem
        assert answer.json() == result.json()
        assert_described(document_of(front_end), EXPORT, answer)


def test_a_result_of_an_earlier_version_is_exported(front_end: FrontEnd) -> None:
    # Given a result without clips, timecode and the fields of later versions
    result = output(shots=(0, 50, 100))
    del result["clips"], result["source"]["timecode"], result["source"]["first_frame_seconds"]
    job_id = played_worker.publish(front_end, result)

    # Then its shots are there, and of clips there are none
    assert "002  A001     AA/V  C        00:00:02:00 00:00:04:00" in export(front_end, job_id, "edl").text
    clips = export(front_end, job_id, "csv", params={"of": "clips"})
    assert (clips.status_code, len(clips.text.splitlines())) == (200, 1)


def test_a_format_without_room_for_all_shots_says_what_has(front_end: FrontEnd) -> None:
    # Given a result of 1,000 shots, which is a large one
    result = output(shots=range(0, 10_001, 10), clips=[])
    assert len(json.dumps(result)) > WHOLE_ANSWER_BYTES
    job_id = played_worker.publish(front_end, result)

    # When it is exported as an EDL, Then another format is named, and has all
    refused = export(front_end, job_id, "edl")
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (422, "INVALID_FIELD", "format")
    assert "csv" in refused.json()["detail"]
    rows = list(csv.DictReader(io.StringIO(export(front_end, job_id, "csv").text, newline="")))
    assert [int(row["start_frame"]) for row in rows] == list(range(0, 10_000, 10))
