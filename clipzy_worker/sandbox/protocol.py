"""The messages of a media process to its parent, one JSON object a line. Imports no media library.

The child writes them with ``Report``, the parent reads them with ``MessageReader``.
"""

import time
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from clipzy_storage import keys
from clipzy_storage.models.analysis import Analysis
from clipzy_worker.errors import ResultTooLarge
from clipzy_worker.stages import STAGES, Stage, fraction_of

# Reasons of a crash. The first two are faults of the environment, which may be over at the next attempt.
OUT_OF_SPACE = "ran out of disk space"
SOURCE_LOST = "could not read the video from storage"
OUT_OF_MEMORY = "ran out of memory"

_MAX_LINE_BYTES = 32 << 20
_TOO_MANY_FIGURES = (
    f"The output.json would be over {_MAX_LINE_BYTES >> 20} MiB: so many shots, beats or silences were found."
    " Raise min_seconds in the job's config."
)
_MAX_TOTAL_BYTES = 64 << 20
_MAX_TEXT_LENGTH = 300
_MAX_SEGMENTS = 5000
_SECONDS_BETWEEN_PROGRESS = 0.25
_STAGE_NAMES = {stage.name for stage in STAGES}


class ProtocolError(Exception):
    """The child sent what is not of the protocol. The text continues "The media process …"."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class _Progress(_Message):
    progress: float
    stage: str


class _Result(_Message):
    result: Analysis


class _FinishedSegment(_Message):
    finished_segment: str


class _InvalidMedia(_Message):
    invalid_media: str


class _ResultTooLarge(_Message):
    result_too_large: str


class _RenderFailed(_Message):
    render_failed: str


class _Crash(_Message):
    crashed: str


_AnyMessage = _Progress | _FinishedSegment | _Result | _InvalidMedia | _ResultTooLarge | _RenderFailed | _Crash
_MESSAGES: TypeAdapter[_AnyMessage] = TypeAdapter(_AnyMessage)


class MessageReader:
    """Reads a child's stdout and holds the latest message of each kind."""

    def __init__(self) -> None:
        self.fraction = 0.0  # of all stages, from 0 to 1, never falls
        self.stage = STAGES[0].name
        self.result: Analysis | None = None
        self.invalid_media: str | None = None
        self.result_too_large: str | None = None
        self.render_failed: str | None = None
        self.crashed: str | None = None
        self._segments: set[str] = set()
        self._new_segments: list[str] = []
        self._line = bytearray()
        self._total_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes, cut anywhere. Raises ``ProtocolError`` for an unknown message, or too many bytes."""
        self._total_bytes += len(data)
        self._line += data
        if len(self._line) > _MAX_LINE_BYTES or self._total_bytes > _MAX_TOTAL_BYTES:
            raise ProtocolError("sent more output than allowed")
        if b"\n" in data:
            *lines, rest = self._line.split(b"\n")
            self._line = bytearray(rest)
            for line in lines:
                self._take(_parsed(bytes(line)))

    def new_segments(self) -> list[str]:
        """The names of the segments that were finished since the last call."""
        names, self._new_segments = self._new_segments, []
        return names

    def _take(self, message: _AnyMessage) -> None:
        match message:
            case _Progress():
                self.stage = message.stage
                self.fraction = max(self.fraction, min(message.progress, 1.0))
            case _FinishedSegment():
                self._take_segment(message.finished_segment)
            case _Result():
                self.result, self.fraction = message.result, 1.0
            case _InvalidMedia():
                self.invalid_media = printable(message.invalid_media)
            case _ResultTooLarge():
                self.result_too_large = printable(message.result_too_large)
            case _RenderFailed():
                self.render_failed = printable(message.render_failed)
            case _Crash():
                self.crashed = printable(message.crashed)

    def _take_segment(self, name: str) -> None:
        if name in self._segments or len(self._segments) == _MAX_SEGMENTS:
            raise ProtocolError("finished more segments than there are")
        self._segments.add(name)
        self._new_segments.append(name)


def _parsed(line: bytes) -> _AnyMessage:
    try:
        message = _MESSAGES.validate_json(line)
    except ValidationError as error:
        raise ProtocolError("sent a message that is not of the protocol") from error
    if not _is_valid(message):
        raise ProtocolError("sent a message that is not of the protocol")
    return message


def _is_valid(message: _AnyMessage) -> bool:
    match message:
        case _Progress():
            return message.stage in _STAGE_NAMES
        case _FinishedSegment():
            return keys.is_segment_name(message.finished_segment)
        case _:
            return True


def printable(text: str, *, length: int = _MAX_TEXT_LENGTH) -> str:
    """At most ``length`` characters of it, without any that move a cursor, end a line or change the text direction."""
    return "".join(letter for letter in text[:length] if letter.isprintable())


class Report:
    """Writes the child's messages, each whole and flushed."""

    def __init__(self, stream: BinaryIO, stages: tuple[Stage, ...] = STAGES) -> None:
        self._stream, self._stages = stream, stages
        self._last_progress_at = float("-inf")

    def progress(self, stage: Stage, fraction: float) -> None:
        """Report how much of a stage is done, from 0 to 1; more than four reports a second are dropped."""
        now = time.monotonic()
        if now - self._last_progress_at >= _SECONDS_BETWEEN_PROGRESS:
            self._last_progress_at = now
            done = fraction_of(stage, fraction, stages=self._stages)
            self._write(_Progress(progress=round(done, 4), stage=stage.name))

    def finished_segment(self, name: str) -> None:
        """A segment is whole: the file of this name in ``SEGMENTS``, which does not change any more."""
        self._write(_FinishedSegment(finished_segment=name))

    def result(self, analysis: Analysis) -> None:
        """Raises ``ResultTooLarge`` if it is larger than the parent would read."""
        self._write(_Result(result=analysis))

    def invalid_media(self, text: str) -> None:
        """The file is at fault. ``text`` is for its owner and contains no path."""
        self._write(_InvalidMedia(invalid_media=text))

    def result_too_large(self, text: str) -> None:
        """The result would be too large. ``text`` is for the job's owner and contains no path."""
        self._write(_ResultTooLarge(result_too_large=text))

    def render_failed(self, text: str) -> None:
        """The video cannot be rendered. ``text`` is for the job's owner and contains no path."""
        self._write(_RenderFailed(render_failed=text))

    def crashed(self, reason: str) -> None:
        """This process gives up; ``reason`` continues "The media process …"."""
        self._write(_Crash(crashed=reason))

    def _write(self, message: _Message) -> None:
        line = message.model_dump_json().encode() + b"\n"
        if len(line) > _MAX_LINE_BYTES:
            raise ResultTooLarge(_TOO_MANY_FIGURES)
        self._stream.write(line)
        self._stream.flush()
