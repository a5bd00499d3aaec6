"""What is measured in a video, as ``output.json`` shows it. ``docs/pipeline.md`` defines each measure."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]
Balance = Annotated[float, Field(ge=-100, le=100)]
Ratio = Annotated[float, Field(ge=0, le=1)]

Band = Literal["bass", "mid", "treble"]
Movement = Literal["static", "pan", "tilt", "zoom", "handheld"]
Direction = Literal["left", "right", "up", "down", "in", "out"]


class Part(BaseModel):
    """A part of the document: immutable, without unknown fields and with finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Span(Part):
    """A section of the video."""

    start_seconds: Seconds
    end_seconds: Seconds


class Beat(Part):
    time_seconds: Seconds
    confidence: Ratio
    band: Band
    """The band of the strongest onset at the beat: below 150 Hz, from 150 Hz to 2 kHz, or above 2 kHz."""


class Audio(Part):
    """The first audio track that can be decoded; loudness by ITU-R BS.1770 and EBU R 128."""

    channels: int = Field(ge=1)
    sample_rate_hz: int = Field(ge=1)
    integrated_lufs: float | None
    """Loudness of the whole track; null if all of it is below the gate of -70 LUFS."""
    loudness_range_lu: float | None
    true_peak_dbtp: float | None
    """Null if there is only digital silence."""
    max_momentary_lufs: float | None
    max_short_term_lufs: float | None
    tempo_bpm: float | None = Field(ge=30, le=300)
    """Null if there is no steady pulse."""
    beats: list[Beat]
    silences: list[Span]
    speech: list[Span]
    """Sections with speech, by voice activity detection."""
    speech_ratio: Ratio
    """Share of the audio's duration that contains speech."""
    bass_percent: Percent | None
    """Share of the energy that lies below 150 Hz."""


class Camera(Part):
    """The camera movement that takes most of a shot."""

    movement: Movement
    direction: Direction | None
    """Direction of the pan, tilt or zoom; null for static and handheld."""
    speed_percent_per_second: float = Field(ge=0)
    """Of the frame's width for a pan, its height for a tilt, its scale for a zoom; 0 for static and handheld."""


class ShotMotion(Part):
    intensity: Percent
    camera: Camera | None
    """Null if too few points could be tracked."""


class Motion(Part):
    intensity: Percent
    """Mean optical flow, normalised by frame size and time."""
    zoom_percent: Percent
    """Share of the duration during which the camera zooms."""


class DominantColor(Part):
    hex: str = Field(pattern="^#[0-9a-f]{6}$")
    share: Ratio


class ColorGrade(Part):
    """0 is the average of ordinary video."""

    temperature: Balance
    tint: Balance
    saturation: Balance
    contrast: Balance
    highlights: Balance
    shadows: Balance


class Grade(ColorGrade):
    """Colour statistics of a shot, without black bars."""

    brightness: Percent
    dominant: list[DominantColor]


class Letterbox(Part):
    """Black bars, in pixels of the displayed frame; the active area is what is left."""

    top: int = Field(ge=0)
    bottom: int = Field(ge=0)
    left: int = Field(ge=0)
    right: int = Field(ge=0)


class Color(Grade):
    """Colour statistics of the whole video."""

    letterbox: Letterbox | None
    """Null if there are no black bars."""
