"""The progress of a job, from its stage and the progress of that."""

import pytest

from clipzy_worker.stages import STAGES, Stage, fraction_of, percent_of

THREE = (Stage("a", weight=1), Stage("b", weight=2), Stage("c", weight=1))


@pytest.mark.parametrize(
    ("index", "fraction", "percent"),
    [(0, 0.0, 0), (0, 1.0, 24), (1, 0.0, 24), (1, 0.5, 49), (2, 0.0, 73), (2, 1.0, 98), (2, 7.0, 98), (0, -1.0, 0)],
)
def test_stages_count_by_their_weight(index: int, fraction: float, percent: int) -> None:
    assert percent_of(fraction_of(THREE[index], fraction, stages=THREE)) == percent


def test_the_last_stage_ends_below_100_percent() -> None:
    assert percent_of(fraction_of(STAGES[-1], 1.0, stages=STAGES)) == 98
