"""The ``output.json`` of an attempt: facts of the job and of its upload next to what was measured."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clipzy_storage.backends.base import read_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.models.analysis import Analysis, ArtifactFile
from clipzy_storage.models.records import Job, SourceFile
from clipzy_worker.errors import ResultTooLarge
from clipzy_worker.processing.upload_results import store_attempt
from tests.support.media.nothing_found import nothing_found

PREFIX = "results/job_x/attempts/1-a/"
JOB = Job(
    job_id="job_x",
    video_id="vid_x",
    filename="holiday.mov",
    source_key="uploads/vid_x.mov",
    source_size_bytes=7,
    source_sha256="a" * 64,
    source_container="mov",
    storage_id="s",
    config={},
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    attempt=1,
)
SOURCE = SourceFile("uploads/vid_x.mov", "mov", 7, "a" * 64)


def test_the_index_has_the_upload_s_facts_and_the_measured_ones(storage: LocalStorage, tmp_path: Path) -> None:
    # Given an analysis with one artifact
    (tmp_path / "poster.jpg").write_bytes(b"jpeg")
    poster = ArtifactFile(file="poster.jpg", kind="poster", content_type="image/jpeg")
    analysis = nothing_found(artifacts=[poster])

    # When it is stored
    index = store_attempt(
        storage, JOB, SOURCE, tmp_path, prefix=PREFIX, analysis=analysis, source_sha256="a" * 64, max_bytes=1 << 20
    )

    # Then the index in storage has both kinds of facts, in the published order
    document = json.loads(index)
    assert read_bytes(storage, PREFIX + "output.json") == index
    assert list(document["source"].items()) == [
        ("filename", "holiday.mov"),
        ("container", "mov"),
        ("size_bytes", 7),
        ("sha256", "a" * 64),
        *analysis.source.model_dump().items(),
    ]
    assert (document["job_id"], document["created_at"]) == ("job_x", "2026-01-01T00:00:00.000Z")
    # And the artifact is stored under the prefix
    (artifact,) = document["artifacts"]
    assert (artifact["name"], artifact["key"], artifact["size_bytes"]) == ("poster.jpg", PREFIX + "poster.jpg", 4)
    assert read_bytes(storage, PREFIX + "poster.jpg") == b"jpeg"


def test_an_analysis_is_the_same_after_its_way_through_json() -> None:
    analysis = nothing_found(warnings=["truncated"], timings={"video_analysis": 0.125})
    assert Analysis.model_validate_json(analysis.model_dump_json()) == analysis


@pytest.mark.parametrize("left_out", ["the file", "the index"])
def test_a_result_over_the_limit_is_not_stored(storage: LocalStorage, tmp_path: Path, left_out: str) -> None:
    # Given a result of one artifact, and a limit that either it or its index exceeds
    (tmp_path / "poster.jpg").write_bytes(bytes(10_000))
    poster = ArtifactFile(file="poster.jpg", kind="poster", content_type="image/jpeg")
    analysis, limit = nothing_found(artifacts=[poster]), 9_999 if left_out == "the file" else 10_001
    # When it is stored, Then that ends before the index is there
    with pytest.raises(ResultTooLarge, match="MAX_RESULT_MB"):
        store_attempt(
            storage, JOB, SOURCE, tmp_path, prefix=PREFIX, analysis=analysis, source_sha256="a" * 64, max_bytes=limit
        )
    assert not storage.exists(PREFIX + "output.json")
    assert storage.exists(PREFIX + "poster.jpg") == (left_out == "the index")
