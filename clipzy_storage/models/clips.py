"""Clips and the rendered video, as ``output.json`` shows them. ``docs/clips.md`` defines each figure."""

from typing import Literal

from pydantic import Field

from clipzy_storage.models.clip_options import VideoCodec
from clipzy_storage.models.measurements import Part, Percent, Ratio, Seconds

PartName = Literal["speech", "energy", "surprise", "motion", "novelty", "picture", "rhythm"]


class ScorePart(Part):
    """One part of a score."""

    name: PartName
    value: Ratio
    weight: Ratio
    points: Percent
    """What it contributes to the score."""


class Edge(Part):
    """Where a clip begins or ends."""

    kind: Literal["shot", "pause", "beat", "grid", "asked", "end"]
    """What lies there: a shot boundary, a pause of speech, a beat, none of these, what was asked for, or the beginning
    or end of the video."""
    moved_seconds: float
    """How far it was moved to there; negative is earlier."""


class Edges(Part):
    start: Edge
    end: Edge


class Reframe(Part):
    """How the picture fills its shape."""

    mode: Literal["none", "still", "fit"]
    """The whole picture, a window that does not move, or the whole picture on a blurred copy of itself."""
    subject: Literal["picture"] | None
    """What the window was placed by; null without a window."""
    kept_percent: Percent
    """Share of the picture's area that is shown."""


class RenderedLoudness(Part):
    """Loudness before and after; null where there is only silence."""

    before_lufs: float | None
    gain_db: float
    limited_db: float = Field(ge=0)
    """By how much the limiter reduced the loudest peak."""
    after_lufs: float | None


class Rendition(Part):
    """What a rendered file has."""

    width: int = Field(ge=2)
    height: int = Field(ge=2)
    frame_rate: float | None = Field(gt=0)
    """Null if the times of the source's frames were kept."""
    frames: int = Field(ge=1)
    duration_seconds: Seconds
    reframe: Reframe
    loudness: RenderedLoudness | None
    """Null without audio."""


class Clip(Part):
    """A section of the video from ``start_frame`` up to but without ``end_frame``, counted from 0 as displayed."""

    index: int = Field(ge=0)
    """By time."""
    rank: int | None = Field(ge=1)
    """By score; null for a section that was asked for."""
    start_seconds: Seconds
    end_seconds: Seconds
    start_frame: int = Field(ge=0)
    end_frame: int = Field(ge=1)
    duration_seconds: Seconds
    shots: tuple[int, int]
    """The first and the last shot that it shows."""
    profile: Literal["talk", "action", "music"] | None
    """The weights of the score; null for a section that was asked for."""
    score: Percent | None
    """The sum of the points of its parts; null for a section that was asked for."""
    parts: list[ScorePart]
    edges: Edges
    reframe: Reframe | None = None
    """Null, like what follows, if the clip was not rendered."""
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    """Null also if the times of the source's frames were kept."""
    loudness: RenderedLoudness | None = None
    """Null also without audio."""
    warnings: list[str] = Field(default=[])
    artifacts: list[str] = Field(default=[])
    """The names of its files."""


class Render(Rendition):
    """The rendered version of the whole video."""

    video_codec: VideoCodec
    warnings: list[str] = Field(default=[])
    artifacts: list[str]
