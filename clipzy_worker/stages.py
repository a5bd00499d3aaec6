"""The stages of a job in order, and its progress. Those of the analysis run in one process, over one decode pass."""

from dataclasses import dataclass

from clipzy_storage.models.job_config import JobConfig

IMPORT = "import"
"""Comes before the others, in jobs whose video a worker fetches."""
IMPORTED_PERCENT = 30
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
RENDERING = Stage("rendering", weight=100)  # clips and the whole video
STAGES = (VIDEO_ANALYSIS, AUDIO_ANALYSIS, MOTION_ANALYSIS, STYLE_EXTRACTION, RENDERING)


def stages_of(config: JobConfig) -> tuple[Stage, ...]:
    """The stages of a job with this config."""
    renders = config.render is not None or (config.clips is not None and config.clips.render)
    return STAGES if renders else STAGES[: STAGES.index(RENDERING)]


def fraction_of(stage: Stage, fraction: float, *, stages: tuple[Stage, ...]) -> float:
    """The fraction of all stages that is done (0 to 1) when ``fraction`` (0 to 1) of ``stage`` is."""
    before = sum(other.weight for other in stages[: stages.index(stage)])
    done = before + stage.weight * min(max(fraction, 0.0), 1.0)
    return done / sum(other.weight for other in stages)


def percent_of(fraction: float, *, begun_at_percent: int = 0) -> int:
    """Whole percent of the job for this fraction of all stages; what the import and the upload take is beside it."""
    return begun_at_percent + int((UPLOADING_FROM_PERCENT - begun_at_percent) * min(max(fraction, 0.0), 1.0))
