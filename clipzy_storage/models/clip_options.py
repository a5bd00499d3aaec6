"""The options ``clips`` and ``render`` of a job's ``config``."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from clipzy_storage.models.options import Options, WholeNumber

MAX_CLIPS_SECONDS = 1800
"""Of all clips of a job together."""

Profile = Literal["auto", "talk", "action", "music"]
Shape = Literal["source", "16:9", "9:16", "1:1", "4:5"]
Quality = Literal["draft", "standard", "high"]
VideoCodec = Literal["h264", "hevc", "av1"]

_CHOICE_FIELDS = ("count", "min_seconds", "max_seconds", "profile")


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("Value must be even")
    return value


def _one_mistake(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Pydantic would report one for each alternative, below the field."""
    try:
        return validate(value)
    except ValidationError:
        raise PydanticCustomError(
            "frame_rate", "Input should be 'constant', 'source' or a number from 1 to 120"
        ) from None


FrameRate = Annotated[
    Literal["constant", "source"] | Annotated[float, Field(ge=1, le=120)], WrapValidator(_one_mistake)
]


class TimeRange(Options):
    """A section of the video, up to but without its end."""

    start_seconds: float = Field(ge=0, le=86400)
    end_seconds: float = Field(gt=0, le=86400)

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.end_seconds <= self.start_seconds:
            raise ValueError("end_seconds must be greater than start_seconds")
        return self

    @property
    def duration_seconds(self) -> float:
        return self.end_seconds - self.start_seconds


class SnapOptions(Options):
    """Where the edges of chosen clips are moved to."""

    shots: bool = True
    """To the beginning of a shot."""
    speech: bool = True
    """Out of speech, into a pause."""
    beats: bool = False
    """To a beat of the music."""
    tolerance_seconds: float = Field(1.0, ge=0, le=5)
    """How far an edge may be moved to a shot or a beat."""


class RenditionOptions(Options):
    """How video and audio are rendered."""

    shape: Shape = "source"
    """Width to height; `source` keeps that of the video as displayed."""
    reframe: Literal["center", "fit"] = "center"
    """How another shape is filled: the middle of the picture, or all of it on a blurred copy of itself."""
    long_side: Annotated[WholeNumber, AfterValidator(_even)] = Field(
        1920, ge=240, le=3840, json_schema_extra={"multipleOf": 2}
    )
    """The longer side in pixels, even. Enlarged at most 2 times, and not at all if `shape` is `source`."""
    quality: Quality = "standard"
    """`draft` for previews, `high` for further editing."""
    frame_rate: FrameRate = "constant"
    """`constant` is the nominal rate of the video, `source` keeps the time of each frame; or frames per second."""
    loudness_lufs: float | None = Field(None, ge=-30, le=-8)
    """The integrated loudness of the audio; null keeps its level."""


class ClipOptions(RenditionOptions):
    """Clips of the best moments, or of `ranges`."""

    count: WholeNumber = Field(3, ge=1, le=20)
    """At most so many; fewer if there are no more."""
    min_seconds: float = Field(10, ge=1, le=600)
    """The shortest clip; a shorter video is one clip."""
    max_seconds: float = Field(60, ge=1, le=600)
    """The longest clip."""
    ranges: list[TimeRange] | None = Field(None, min_length=1, max_length=50)
    """Cut exactly these sections, which may overlap; null chooses. Excludes `count`, `min_seconds`, `max_seconds` and
    `profile`."""
    within: TimeRange | None = None
    """Look for moments only here; null is the whole video."""
    profile: Profile = "auto"
    """What a good moment is: the weights of its score. `auto` chooses by the measurements."""
    snap: SnapOptions = SnapOptions()
    margin_seconds: float = Field(0.2, ge=0, le=2)
    """Kept before and after speech."""
    diversity: float = Field(0.3, ge=0, le=1)
    """How different the clips should be from each other; 0 looks at the score alone."""
    render: bool = True
    """Whether clips are rendered; false only lists them."""

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if self.min_seconds > self.max_seconds:
            raise ValueError(
                f"min_seconds ({self.min_seconds:g}) must not be greater than max_seconds ({self.max_seconds:g})"
            )
        return self

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        if self.ranges is None:
            return self
        if excluded := [name for name in _CHOICE_FIELDS if name in self.model_fields_set]:
            raise ValueError(f"ranges cannot be combined with {excluded[0]}")
        total_seconds = math.fsum(one.duration_seconds for one in self.ranges)
        if total_seconds > MAX_CLIPS_SECONDS:
            raise ValueError(f"ranges may have {MAX_CLIPS_SECONDS} seconds together, not {total_seconds:g}")
        return self


class RenderOptions(RenditionOptions):
    """A rendered version of the whole video."""

    video_codec: VideoCodec = "h264"
    """`h264` is played everywhere; `hevc` and `av1` need fewer bytes and more time."""
