"""What exports read of an ``output.json``, one of any version."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clipzy_storage.errors import Damaged
from clipzy_storage.models.output import Transition


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Source(_Read):
    filename: str
    duration_seconds: float = Field(ge=0)
    first_frame_seconds: float = 0.0
    width: int
    height: int
    frame_rate: float | None = Field(gt=0)
    audio_codec: str | None
    timecode: str | None = None


class Shot(_Read):
    index: int
    start_seconds: float
    end_seconds: float
    transition: Transition
    transition_seconds: float = 0.0


class Clip(_Read):
    """``score`` and what belongs to it is null in a section that was asked for."""

    index: int
    rank: int | None
    start_seconds: float
    end_seconds: float
    start_frame: int
    end_frame: int
    shots: tuple[int, int]
    profile: str | None
    score: float | None
    parts: list[dict[str, Any]]


class Span(_Read):
    start_seconds: float
    end_seconds: float


class Beat(_Read):
    time_seconds: float
    confidence: float


class Audio(_Read):
    channels: int = 2
    sample_rate_hz: int = 48_000
    beats: list[Beat] = []
    silences: list[Span] = []
    speech: list[Span] = []


class Document(_Read):
    job_id: str
    source: Source
    shots: list[Shot]
    audio: Audio | None = None
    clips: list[Clip] = []

    @property
    def sound(self) -> Audio | None:
        """None without an audio track; what is usual where it was not analysed."""
        return self.audio or (Audio() if self.source.audio_codec else None)


def document_of(index: bytes) -> Document:
    """Raises ``Damaged`` if it is no such document."""
    try:
        return Document.model_validate_json(index)
    except ValidationError as error:
        raise Damaged("an output.json is damaged: it is not what its schema describes") from error
