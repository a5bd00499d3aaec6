"""The stages of a job in order, and its progress. All run in one media process, since they share one decode pass."""

from dataclasses import dataclass

UPLOADING_FROM_PERCENT = 98


@dataclass(frozen=True)
class Stage:
    """``weight`` is its usual share of the time, relative to the other stages."""

    name: str
    weight: int


VIDEO_ANALYSIS = Stage("video_analysis", weight=95)  # the decode pass that feeds every analyser
AUDIO_ANALYSIS = Stage("audio_analysis", weight=3)
MOTION_ANALYSIS = Stage("motion_analysis", weight=1)
STYLE_EXTRACTION = Stage("style_extraction", weight=1)
STAGES = (VIDEO_ANALYSIS, AUDIO_ANALYSIS, MOTION_ANALYSIS, STYLE_EXTRACTION)


def fraction_of(stage: Stage, fraction: float, *, stages: tuple[Stage, ...] = STAGES) -> float:
    """The fraction of all stages that is done (0 to 1) when ``fraction`` (0 to 1) of ``stage`` is."""
    before = sum(other.weight for other in stages[: stages.index(stage)])
    done = before + stage.weight * min(max(fraction, 0.0), 1.0)
    return done / sum(other.weight for other in stages)


def percent_of(fraction: float) -> int:
    """Whole percent of the job for this fraction of all stages; uploading the results takes the rest."""
    return int(UPLOADING_FROM_PERCENT * min(max(fraction, 0.0), 1.0))
