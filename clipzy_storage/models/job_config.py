"""The ``config`` of a job: its options with their bounds and defaults."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_CONFIG_BYTES = 16 << 10

AnalysisName = Literal["audio", "motion", "color", "style"]


def _whole(value: Any) -> Any:
    """JSON Schema counts 320.0 as an integer, and some programs write it so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, BeforeValidator(_whole)]


class _Options(BaseModel):
    # Strict: a number in quotes or 1 for true is a mistake of the client, which coercion would hide.
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ShotOptions(_Options):
    """Options of shot detection."""

    sensitivity: float = Field(3.0, ge=1, le=20)
    """How far a frame must differ from its neighbours to begin a shot; lower finds more cuts."""
    min_seconds: float = Field(0.3, ge=0, le=60)
    """A shorter shot is merged into the one before it."""


class SilenceOptions(_Options):
    """Options of silence detection."""

    threshold_dbfs: float = Field(-50.0, ge=-90, le=-10)
    """Audio below this level is silent."""
    min_seconds: float = Field(0.5, ge=0.1, le=60)
    """Shorter silences are not reported."""


class ThumbnailOptions(_Options):
    """Options of thumbnails."""

    per: Literal["shot", "interval", "none"] = "shot"
    """One for each shot, one for each interval, or none."""
    interval_seconds: float = Field(5.0, ge=0.5, le=3600)
    """The interval, if `per` is `interval`."""
    width: WholeNumber = Field(320, ge=64, le=1280)
    """In pixels; a narrower video is not enlarged."""


class JobConfig(_Options):
    """The options of a job. Every field is optional; an unknown one is rejected."""

    analyses: tuple[AnalysisName, ...] = Field(("audio", "motion", "color", "style"), strict=False)
    """Analyses besides shot detection; what is left out is null in the result. Order and repetition do not matter."""
    shots: ShotOptions = ShotOptions()
    silence: SilenceOptions = SilenceOptions()
    thumbnails: ThumbnailOptions = ThumbnailOptions()
    sprites: bool = True
    """Whether to write a sprite sheet with its WebVTT map, for the seek bar of a player."""
    reuse: bool = True
    """Whether the result of an earlier job with the same bytes, options and pipeline version may be returned."""

    def effective(self) -> dict[str, Any]:
        """What the result depends on, in canonical form."""
        options = self.model_dump(mode="json", exclude={"reuse"})
        return options | {"analyses": sorted(set(self.analyses))}
