"""The ordered stages of a job, and how far along it is."""

from dataclasses import dataclass

PUBLISHING_PERCENT = 98  # what the stages together reach; the rest is writing the results


@dataclass(frozen=True)
class Stage:
    """One step over the footage. ``weight`` is its usual share of the time, relative to the others."""

    name: str
    weight: int


STAGES = (Stage("video_analysis", weight=100),)


def percent_of(stage: Stage, fraction: float, *, stages: tuple[Stage, ...] = STAGES) -> int:
    """Whole percent of the job when ``stage`` is done to ``fraction`` (0 to 1)."""
    before = sum(other.weight for other in stages[: stages.index(stage)])
    done = before + stage.weight * min(max(fraction, 0.0), 1.0)
    return int(PUBLISHING_PERCENT * done / sum(other.weight for other in stages))
