"""The ``config`` of a job: what a client may set, with bounds and defaults."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, FailFast, Field, ValidationError

from clipzy_storage.models.clip_options import ClipOptions, RenderOptions
from clipzy_storage.models.options import Options, WholeNumber

MAX_CONFIG_BYTES = 16 << 10

AnalysisName = Literal["audio", "motion", "color", "style"]


def _without_repetitions(names: list[AnalysisName]) -> list[AnalysisName]:
    return list(dict.fromkeys(names))


AnalysisNames = Annotated[list[AnalysisName], FailFast(), AfterValidator(_without_repetitions)]


class ShotOptions(Options):
    """How shots are detected."""

    sensitivity: float = Field(3.0, ge=1, le=20)
    """How much a frame must differ from its neighbours to begin a shot; lower values find more cuts."""
    min_seconds: float = Field(0.3, ge=0, le=60)
    """The shortest shot."""


class SilenceOptions(Options):
    """Options of silence detection."""

    threshold_dbfs: float = Field(-50.0, ge=-90, le=-10)
    """Audio below this level is silent."""
    min_seconds: float = Field(0.5, ge=0.1, le=60)
    """The shortest silence."""


class ThumbnailOptions(Options):
    """Which thumbnails are made."""

    per: Literal["shot", "interval", "none"] = "shot"
    """One per shot, one per interval, or none."""
    interval_seconds: float = Field(5.0, ge=0.5, le=3600)
    """The interval, if `per` is `interval`."""
    width: WholeNumber = Field(320, ge=64, le=1280)
    """In pixels; a smaller video is not enlarged."""


class JobConfig(Options):
    """What a job does. Every field is optional; an unknown field is refused."""

    analyses: AnalysisNames = Field(["audio", "motion", "color", "style"])
    """Analyses next to shot detection; a missing one is null in the result. Order and repetition do not matter."""
    shots: ShotOptions = ShotOptions()
    silence: SilenceOptions = SilenceOptions()
    thumbnails: ThumbnailOptions = ThumbnailOptions()
    sprites: bool = True
    """A sheet of thumbnails with its WebVTT map, for the seek bar of a player."""
    clips: ClipOptions | None = None
    """Clips to cut from the video: the best moments, or given sections. Null makes none."""
    render: RenderOptions | None = None
    """A rendered version of the whole video. Null makes none."""
    reuse: bool = True
    """Whether an earlier result for the same bytes, options and pipeline version may be returned."""

    def effective(self) -> dict[str, Any]:
        """All that a result depends on; equal for configs with the same meaning."""
        options = self.model_dump(mode="json", exclude={"reuse"})
        return options | {"analyses": sorted(self.analyses)}


def canonical_config(config: dict[str, Any]) -> dict[str, Any]:
    """What the client has set, without repetitions: a few hundred bytes at most. A config that is not valid stays."""
    try:
        return JobConfig.model_validate(config).model_dump(mode="json", exclude_unset=True)
    except ValidationError:  # of a later Clipzy
        return config
