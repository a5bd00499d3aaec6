"""The whole analysis by a real worker: what a client gets for a video with everything in it."""

import hashlib
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from clipzy_storage.models.output import Output
from tests.support.api_client import ApiClient
from tests.support.deployment import Deployment

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "demo" / "demo.mp4"
KINDS = {
    *("poster", "thumbnail", "contact_sheet", "sprite", "sprite_map"),
    *("waveform", "waveform_picture", "curves"),
}


@pytest.mark.timeout(240)
def test_everything_is_measured_and_twice_the_same(deployment: Deployment, api: ApiClient, tmp_path: Path) -> None:
    # Given a worker, and a video in five shots with music
    deployment.worker()

    # When it is analysed twice, with all there is
    first, second = (_analysed(api, analyses=["audio", "motion", "color", "style"], sprites=True) for _ in range(2))
    text = api.get(f"/storage/results/{first}/output.json").text
    document = json.loads(text)

    # Then the document keeps to the published schema, and no part of it is missing
    jsonschema.Draft202012Validator(json.loads((ROOT / "docs/output.schema.json").read_text())).validate(document)
    output = Output.model_validate(document)
    assert len(output.shots) == 5
    assert None not in (output.audio, output.motion, output.color, output.style)
    assert all(shot.color for shot in output.shots)
    assert {artifact.kind for artifact in output.artifacts} == KINDS
    # And it is the same the second time, but for times and ids
    again = json.loads(api.get(f"/storage/results/{second}/output.json").text)
    assert without_times_and_ids(again) == without_times_and_ids(document)
    # And floats are rounded
    assert all(len(repr(value).split(".")[-1]) <= 6 for value in floats(document))
    # And every file is as the document lists it
    for artifact in output.artifacts:
        content = api.get(f"/jobs/{first}/files/{artifact.name}").content
        assert (len(content), hashlib.sha256(content).hexdigest()) == (artifact.size_bytes, artifact.sha256)
    # And its timeline can be drawn
    path = tmp_path / "timeline.svg"
    assert deployment.run("plot", first, "--output", str(path), settings={"CLIPZY_URL": api.url}).wait() == 0
    drawn = {element.text for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")}
    assert {"demo.mp4", "shots", "motion", "loudness", "beats"} <= drawn


def test_only_what_is_asked_for_is_done(deployment: Deployment, api: ApiClient) -> None:
    # Given a worker
    deployment.worker()

    # When next to nothing is asked for
    job_id = _analysed(api, analyses=[], thumbnails={"per": "none"}, sprites=False)

    # Then there is next to nothing: the shots and a poster
    output = Output.model_validate(api.get(f"/jobs/{job_id}/result").json() | {"artifacts": []})
    assert (output.audio, output.motion, output.color, output.style) == (None, None, None, None)
    assert len(output.shots) == 5
    assert {artifact["kind"] for artifact in api.get(f"/jobs/{job_id}/result").json()["artifacts"]} == {"poster"}


def _analysed(api: ApiClient, **config: Any) -> str:
    """The id of a completed job over the demo video."""
    form = {"config": json.dumps(config)}
    answer = api.post("/jobs", files={"file": ("demo.mp4", DEMO.read_bytes())}, data=form)
    return str(api.finished(answer.json()["job_id"])["job_id"])


def without_times_and_ids(document: dict[str, Any]) -> str:
    changing = {"job_id", "video_id", "created_at", "timings"}
    kept = {name: value for name, value in document.items() if name not in changing}
    kept["style"] = kept["style"] | {"created_at": None}
    kept["artifacts"] = [artifact | {"key": artifact["name"]} for artifact in kept["artifacts"]]
    return json.dumps(kept)


def floats(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [one for inner in value.values() for one in floats(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in floats(inner)]
    return [value] if isinstance(value, float) else []
