"""What a caller may ask for: the ``config`` of a job, with its bounds and defaults."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_CONFIG_BYTES = 16 << 10  # of its JSON text

Analysis = Literal["audio", "motion", "color", "style"]


def _whole(value: Any) -> Any:
    """JSON Schema knows 320.0 as a whole number, and some programs write it so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, BeforeValidator(_whole)]


class _Options(BaseModel):
    # Strict: a number in quotes or a 1 for a true is a mistake of the caller's, which a guess would hide.
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ShotOptions(_Options):
    """How shots are told apart."""

    sensitivity: float = Field(3.0, ge=1, le=20)
    """How far a picture must stand out from those around it to begin a shot; lower finds more cuts."""
    min_seconds: float = Field(0.3, ge=0, le=60)
    """Shots shorter than this are none."""


class SilenceOptions(_Options):
    """What counts as silence."""

    threshold_dbfs: float = Field(-50.0, ge=-90, le=-10)
    """Below this level it is silent."""
    min_seconds: float = Field(0.5, ge=0.1, le=60)
    """Silences shorter than this are none."""


class ThumbnailOptions(_Options):
    """Which small pictures are made."""

    per: Literal["shot", "interval", "none"] = "shot"
    """One for each shot, one for so many seconds, or none."""
    interval_seconds: float = Field(5.0, ge=0.5, le=3600)
    """With `per` set to `interval`: one for so many seconds."""
    width: WholeNumber = Field(320, ge=64, le=1280)
    """In pixels; a smaller film is not enlarged."""


class JobConfig(_Options):
    """What a job is to do. All of it may be left out; a field that is not named here is refused."""

    analyses: tuple[Analysis, ...] = Field(("audio", "motion", "color", "style"), strict=False)
    """What to look for beside the shots; what is left out is null in the result. Order and repetition do not matter."""
    shots: ShotOptions = ShotOptions()
    silence: SilenceOptions = SilenceOptions()
    thumbnails: ThumbnailOptions = ThumbnailOptions()
    sprites: bool = True
    """A sheet of small pictures with its WebVTT map, for the seek bar of a player."""
    reuse: bool = True
    """Whether an earlier result for the same bytes, options and version of the pipeline may be given."""

    def effective(self) -> dict[str, Any]:
        """All that a result depends on, alike for all that ask for the same."""
        options = self.model_dump(mode="json", exclude={"reuse"})
        return options | {"analyses": sorted(set(self.analyses))}
