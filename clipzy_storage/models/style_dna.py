"""Style DNA 1.0: the look, sound and motion of a video. ``docs/style-dna.md`` defines each field."""

from typing import Literal, Self

from pydantic import Field

from clipzy_storage.models.measurements import Band, ColorGrade, Part, Percent, Ratio


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
    frequency: Band


class _Style(Part):
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


class MeasuredStyle(_Style):
    """What follows from the measurements: all of Style DNA but ``created_at``, which is the job's."""

    extraction_confidence: Ratio


class StyleDna(_Style):
    """A field that cannot be measured reliably is null."""

    created_at: str
    extraction_confidence: Ratio

    @classmethod
    def of(cls, measured: MeasuredStyle, *, created_at: str) -> Self:
        return cls(created_at=created_at, **dict(measured))
