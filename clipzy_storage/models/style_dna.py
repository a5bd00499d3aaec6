"""Style DNA 1.0: how a video looks, sounds and moves. How each number is measured: ``docs/style-dna.md``."""

from typing import Literal

from pydantic import Field

from clipzy_storage.models.measurements import ColorGrade, Part, Percent, Ratio


class AudioStyle(Part):
    normalization_level: Ratio | None
    compression_ratio: float | None = Field(ge=1)
    bass_boost: Percent | None
    speech_ratio: Ratio | None


class TransitionStyle(Part):
    type: Literal["cut", "fade", "dissolve"]
    duration_ms: int = Field(ge=0)


class DetectedBeat(Part):
    timestamp_ms: int = Field(ge=0)
    confidence: Ratio
    frequency: Literal["bass", "mid", "treble"]


class StyleDna(Part):
    """A field that cannot be measured honestly is null."""

    version: Literal["1.0"] = "1.0"
    color_grade: ColorGrade | None
    aspect_ratio: str = Field(pattern=r"^[1-9][0-9]*:[1-9][0-9]*$")
    frame_rate: float | None = Field(gt=0)
    audio_style: AudioStyle
    cut_frequency: float = Field(ge=0)
    motion_intensity: Percent | None
    zoom_usage: Percent | None
    primary_transition: TransitionStyle | None
    secondary_transition: TransitionStyle | None
    detected_beats: list[DetectedBeat]
    tempo_bpm: float | None = Field(ge=30, le=300)
    beat_sync: Ratio | None
    source_duration_seconds: float = Field(gt=0)
    created_at: str
    extraction_confidence: Ratio
