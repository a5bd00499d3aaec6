"""The published schema of ``output.json`` is the one that is written by."""

import json
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from clipzy_storage.models.output import PIPELINE_VERSION, Output, json_schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "output.schema.json"

EXAMPLE = {
    "schema_version": "1.0",
    "pipeline_version": PIPELINE_VERSION,
    "reused_from": None,
    "job_id": "job_x",
    "video_id": "vid_x",
    "attempt": 1,
    "created_at": "2026-01-31T12:00:00.000Z",
    "source": {
        "filename": "holiday.mp4",
        "container": "mp4",
        "size_bytes": 10,
        "sha256": "0" * 64,
        "duration_seconds": 10.0,
        "first_frame_seconds": 0.0,
        "width": 640,
        "height": 272,
        "frame_rate": 25.0,
        "video_codec": "h264",
        "audio_codec": None,
        "timecode": "10:00:00:00",
    },
    "shots": [
        {
            "index": 0,
            "start_seconds": 0.0,
            "end_seconds": 2.4,
            "transition": "start",
            "transition_seconds": 0.0,
            "motion": None,
            "color": None,
        }
    ],
    "audio": None,
    "motion": None,
    "color": None,
    "style": None,
    "clips": [
        {
            "index": 0,
            "rank": 1,
            "start_seconds": 0.0,
            "end_seconds": 2.4,
            "start_frame": 0,
            "end_frame": 60,
            "duration_seconds": 2.4,
            "shots": [0, 0],
            "profile": "action",
            "score": 42.5,
            "parts": [{"name": "motion", "value": 0.85, "weight": 0.5, "points": 42.5}],
            "edges": {
                "start": {"kind": "shot", "moved_seconds": 0.0},
                "end": {"kind": "end", "moved_seconds": 0.0},
            },
            "reframe": {"mode": "none", "subject": None, "kept_percent": 100.0},
            "width": 640,
            "height": 272,
            "frame_rate": 25.0,
            "loudness": None,
            "warnings": [],
            "artifacts": ["clips/00.mp4"],
        }
    ],
    "render": None,
    "artifacts": [
        {
            "name": "poster.jpg",
            "key": "results/job_x/attempts/1-a/poster.jpg",
            "kind": "poster",
            "content_type": "image/jpeg",
            "size_bytes": 1,
            "sha256": "0" * 64,
            "shot": None,
            "time_seconds": None,
            "clip": None,
        }
    ],
    "warnings": [],
    "timings": {"video_analysis": 1.2},
}


def test_the_published_schema_is_the_code_s() -> None:
    # After a change: .venv/bin/python -m clipzy_storage.models.output > docs/output.schema.json
    assert json.loads(PUBLISHED.read_text()) == json_schema()


def test_what_is_written_is_valid_by_the_published_schema() -> None:
    written = json.loads(Output.model_validate(EXAMPLE).to_json())
    jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text())).validate(written)
    assert written == EXAMPLE


def test_the_published_schema_allows_links_and_later_fields() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text()))
    # Given what GET /jobs/{id}/result shows, by a later version
    shown = json.loads(json.dumps(EXAMPLE))
    shown["artifacts"][0]["storage_url"] = "/storage/x"
    shown["new"] = shown["artifacts"][0]["new"] = shown["source"]["new"] = {}
    validator.validate(shown)
    # And a link that is no text is no link
    shown["artifacts"][0]["storage_url"] = 1
    assert not validator.is_valid(shown)


def test_an_unknown_transition_is_valid_for_neither() -> None:
    wrong = EXAMPLE | {"shots": [{"index": 0, "start_seconds": 0, "end_seconds": 1, "transition": "wipe"}]}
    with pytest.raises(ValidationError):
        Output.model_validate(wrong)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text())).validate(wrong)
