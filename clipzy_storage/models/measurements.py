"""What is measured in the footage, as ``output.json`` shows it. How, unit by unit: ``docs/pipeline.md``."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]
Balance = Annotated[float, Field(ge=-100, le=100)]
Ratio = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """A piece of the document: nothing in it but what is named, nothing changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Span(Part):
    """A stretch of the film."""

    start_seconds: Seconds
    end_seconds: Seconds


class Beat(Part):
    time_seconds: Seconds
    confidence: Ratio
    band: Literal["bass", "mid", "treble"]
    """Where the strongest onset of the beat lies: below 150 Hz, to 2 kHz, above."""


class Audio(Part):
    """The sound of the first audio track; loudness by ITU-R BS.1770 and EBU R 128."""

    channels: int = Field(ge=1)
    sample_rate_hz: int = Field(ge=1)
    integrated_lufs: float | None
    """Loudness of the whole; null where all of it is below the gate of -70 LUFS."""
    loudness_range_lu: float | None
    true_peak_dbtp: float | None
    """Null where there is nothing but digital silence."""
    max_momentary_lufs: float | None
    max_short_term_lufs: float | None
    tempo_bpm: float | None = Field(ge=30, le=300)
    """Null where there is no steady pulse."""
    beats: list[Beat]
    silences: list[Span]
    speech: list[Span]
    """Stretches in which somebody speaks, by a voice detector."""
    speech_ratio: Ratio
    """Share of the sound's time with speech."""
    bass_percent: Percent | None
    """Energy below 150 Hz, of the whole."""


class Camera(Part):
    """How the camera moves during most of a shot."""

    movement: Literal["static", "pan", "tilt", "zoom", "handheld"]
    direction: Literal["left", "right", "up", "down", "in", "out"] | None
    """Where the camera turns to, or zooms; null where it does neither."""
    speed_percent_per_second: float = Field(ge=0)
    """Of the picture's width for a pan, its height for a tilt, its scale for a zoom; 0 for static and handheld."""


class ShotMotion(Part):
    intensity: Percent
    camera: Camera | None
    """Null where too little can be followed to say."""


class Motion(Part):
    intensity: Percent
    """Mean optical flow, normalised by the picture's size and by time."""
    zoom_percent: Percent
    """Share of time during which the camera zooms."""


class DominantColor(Part):
    hex: str = Field(pattern="^#[0-9a-f]{6}$")
    share: Ratio


class ColorGrade(Part):
    """0 is ordinary footage."""

    temperature: Balance
    tint: Balance
    saturation: Balance
    contrast: Balance
    highlights: Balance
    shadows: Balance


class Grade(ColorGrade):
    """The look of a stretch of film, without its black bars."""

    brightness: Percent
    dominant: list[DominantColor]


class Letterbox(Part):
    """Black bars, in pixels of the shown picture; the film's own shape is what is left."""

    top: int = Field(ge=0)
    bottom: int = Field(ge=0)
    left: int = Field(ge=0)
    right: int = Field(ge=0)


class Color(Grade):
    """The look of the whole film."""

    letterbox: Letterbox | None
    """Null where the picture fills the frame."""
