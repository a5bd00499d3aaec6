"""What a caller may ask for: the ``config`` of a job, with its bounds and defaults."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Analysis = Literal["audio", "motion", "color", "style"]


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ShotOptions(_Options):
    sensitivity: float = Field(3.0, ge=1, le=20)
    """How far a picture must stand out from those around it to begin a shot; lower finds more cuts."""
    min_seconds: float = Field(0.3, ge=0, le=60)
    """Shots shorter than this are none."""


class SilenceOptions(_Options):
    threshold_dbfs: float = Field(-50.0, ge=-90, le=-10)
    """Below this level it is silent."""
    min_seconds: float = Field(0.5, ge=0.1, le=60)


class ThumbnailOptions(_Options):
    per: Literal["shot", "interval", "none"] = "shot"
    interval_seconds: float = Field(5.0, ge=0.5, le=3600)
    """With ``per: interval``, one for so many seconds."""
    width: int = Field(320, ge=64, le=1280)
    """In pixels; a smaller film is not enlarged."""


class JobConfig(_Options):
    """All of it may be left out. A field that is not named here is refused."""

    analyses: tuple[Analysis, ...] = ("audio", "motion", "color", "style")
    """What to look for beside the shots; what is left out is null in the result."""
    shots: ShotOptions = ShotOptions()
    silence: SilenceOptions = SilenceOptions()
    thumbnails: ThumbnailOptions = ThumbnailOptions()
    sprites: bool = True
    """A sheet of small pictures with its WebVTT map, for the seek bar of a player."""
    reuse: bool = True
    """Whether an earlier result for the same bytes, options and version of the pipeline may be given."""
