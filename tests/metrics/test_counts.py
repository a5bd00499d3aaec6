"""What one process counts, until it hands it on."""

import os
import signal

import pytest

from clipzy_storage import metrics
from clipzy_storage.metrics.counts import COUNTS, Counts, field_of, parts_of
from clipzy_storage.metrics.definitions import METRICS, STAGES
from clipzy_worker import stages

LOST, UPLOADS, STAGE = "clipzy_attempts_lost_total", "clipzy_upload_bytes_total", "clipzy_stage_seconds"


def test_counters_add_up_until_they_are_taken() -> None:
    counts = Counts()
    counts.count(LOST)
    counts.count(UPLOADS, 100, method="tus")
    counts.count(UPLOADS, 20, method="tus")

    assert counts.has_any.is_set()
    assert counts.take() == {LOST: 1, f"{UPLOADS}|tus": 120}
    assert counts.take() == {}
    assert not counts.has_any.is_set()


def test_a_duration_falls_into_the_first_bucket_that_has_room_for_it() -> None:
    counts = Counts()
    for seconds in (0.1, 0.11, 0.5, 1e6):
        counts.observe(STAGE, seconds, stage="import")

    assert counts.take() == {
        f"{STAGE}|import|0.1": 1,
        f"{STAGE}|import|0.5": 2,
        f"{STAGE}|import|+Inf": 1,
        f"{STAGE}|import|sum": 1_000_000_710_000,
    }


@pytest.mark.parametrize("labels", [{}, {"stage": "import", "job": "x"}, {"job": "x"}])
def test_other_labels_than_the_metric_has_are_an_error(labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="clipzy_stage_seconds has the labels"):
        Counts().observe(STAGE, 1, **labels)


@pytest.mark.parametrize("name", METRICS)
def test_a_field_has_name_and_labels(name: str) -> None:
    values = tuple(f"a|{label}" for label in METRICS[name].labels)
    part = "0.5" if METRICS[name].kind == "histogram" else ""

    assert parts_of(field_of(name, values, part)) == (name, tuple(value.replace("|", " ") for value in values), part)


@pytest.mark.parametrize("field", ["clipzy_gone_total|x", f"{LOST}|x", UPLOADS, f"{STAGE}|import"])
def test_a_field_of_another_version_is_known_as_such(field: str) -> None:
    assert parts_of(field) is None


def test_the_stages_are_those_of_the_worker() -> None:
    assert (stages.IMPORT, *(stage.name for stage in stages.STAGES)) == STAGES


def test_a_forked_process_counts_from_zero() -> None:
    # Given a process that has counted something, and is counting
    COUNTS.take()
    metrics.count(LOST)
    with COUNTS._lock:
        # When it forks
        pid = os.fork()
        if pid == 0:
            signal.alarm(30)  # if it waits for the lock for ever
            metrics.count(UPLOADS, 7, method="form")
            os._exit(COUNTS.take() != {f"{UPLOADS}|form": 7})
    # Then the child has what it has counted itself, and the parent keeps the rest
    assert os.waitpid(pid, 0)[1] == 0
    assert COUNTS.take() == {LOST: 1}
