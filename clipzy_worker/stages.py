"""The ordered stages of a job, and how far along it is. All run in one media process, since they share one decode."""

from dataclasses import dataclass

PUBLISHING_PERCENT = 98  # what the stages together reach; the rest is writing the results


@dataclass(frozen=True)
class Stage:
    """One step over the footage. ``weight`` is its usual share of the time, relative to the others."""

    name: str
    weight: int


VIDEO_ANALYSIS = Stage("video_analysis", weight=95)  # the decode, with whatever watches and listens
AUDIO_ANALYSIS = Stage("audio_analysis", weight=3)
MOTION_ANALYSIS = Stage("motion_analysis", weight=1)
STYLE_EXTRACTION = Stage("style_extraction", weight=1)
STAGES = (VIDEO_ANALYSIS, AUDIO_ANALYSIS, MOTION_ANALYSIS, STYLE_EXTRACTION)


def fraction_of(stage: Stage, fraction: float, *, stages: tuple[Stage, ...] = STAGES) -> float:
    """How much of all stages is done (0 to 1) when ``stage`` is done to ``fraction`` (0 to 1)."""
    before = sum(other.weight for other in stages[: stages.index(stage)])
    done = before + stage.weight * min(max(fraction, 0.0), 1.0)
    return done / sum(other.weight for other in stages)


def percent_of(fraction: float) -> int:
    """Whole percent of the job when so much of all stages is done."""
    return int(PUBLISHING_PERCENT * min(max(fraction, 0.0), 1.0))
