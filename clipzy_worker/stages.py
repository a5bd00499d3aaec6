"""The ordered stages of a job, and its progress. All run in one media process, since they share one decode."""

from dataclasses import dataclass

ANALYSED_PERCENT = 98  # once all stages are done; the rest is storing the results


@dataclass(frozen=True)
class Stage:
    """One step of the analysis. ``weight`` is its usual share of the time, relative to the others."""

    name: str
    weight: int


VIDEO_ANALYSIS = Stage("video_analysis", weight=95)  # the decode pass, which feeds every analyser
AUDIO_ANALYSIS = Stage("audio_analysis", weight=3)
MOTION_ANALYSIS = Stage("motion_analysis", weight=1)
STYLE_EXTRACTION = Stage("style_extraction", weight=1)
STAGES = (VIDEO_ANALYSIS, AUDIO_ANALYSIS, MOTION_ANALYSIS, STYLE_EXTRACTION)


def fraction_of(stage: Stage, fraction: float, *, stages: tuple[Stage, ...] = STAGES) -> float:
    """The fraction of all stages (0 to 1) that is done when ``fraction`` of ``stage`` (0 to 1) is."""
    before = sum(other.weight for other in stages[: stages.index(stage)])
    done = before + stage.weight * min(max(fraction, 0.0), 1.0)
    return done / sum(other.weight for other in stages)


def percent_of(fraction: float) -> int:
    """Whole percent of the job when this fraction of all stages is done."""
    return int(ANALYSED_PERCENT * min(max(fraction, 0.0), 1.0))
