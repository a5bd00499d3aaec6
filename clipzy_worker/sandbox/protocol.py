"""What a media process says: one JSON object a line, read from whatever it may write. Pure."""

import json
import math
import time
from typing import Any, BinaryIO

from clipzy_worker.stages import STAGES, Stage, fraction_of

# The two crashes that are none: they may pass.
OUT_OF_SPACE = "ran out of disk space"
SOURCE_LOST = "could not read the video from storage"
OUT_OF_MEMORY = "ran out of memory"

_MAX_LINE_BYTES = 32 << 20
_MAX_TOTAL_BYTES = 64 << 20
_MAX_TEXT_LENGTH = 300
_STAGES = {stage.name for stage in STAGES}


class ProtocolError(Exception):
    """The child said something that is not of the protocol. The text continues "The media process …"."""


class Messages:
    """Collects a child's stdout and knows the newest of each kind of message."""

    def __init__(self) -> None:
        self.fraction = 0.0  # of all stages, from 0 to 1, never falls
        self.stage = STAGES[0].name
        self.result: dict[str, Any] | None = None
        self.invalid_media: str | None = None
        self.crashed: str | None = None
        self._line = bytearray()
        self._total_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes, cut anywhere. Raises ``ProtocolError`` for what is no message, or too much."""
        self._total_bytes += len(data)
        self._line += data
        if len(self._line) > _MAX_LINE_BYTES or self._total_bytes > _MAX_TOTAL_BYTES:
            raise ProtocolError("said more than it may")
        if b"\n" in data:
            *lines, rest = self._line.split(b"\n")
            self._line = bytearray(rest)
            for line in lines:
                self._take(bytes(line))

    def _take(self, line: bytes) -> None:
        match _parsed(line):
            case {"progress": float() | int() as fraction, "stage": str() as stage} if (
                math.isfinite(fraction) and stage in _STAGES
            ):
                self.stage = stage
                self.fraction = max(self.fraction, min(float(fraction), 1.0))
            case {"result": dict() as result}:
                self.result, self.fraction = result, 1.0
            case {"invalid_media": str() as text}:
                self.invalid_media = printable(text)
            case {"crashed": str() as text}:
                self.crashed = printable(text)
            case _:
                raise ProtocolError("said something that is not of the protocol")


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("said something that is not of the protocol") from error


def printable(text: str, *, length: int = _MAX_TEXT_LENGTH) -> str:
    """At most so many letters of it, without what moves a cursor, ends a line or turns the direction of writing."""
    return "".join(letter for letter in text[:length] if letter.isprintable())


_SECONDS_BETWEEN_PROGRESS = 0.25


class Report:
    """The child's voice. Every message is written whole and at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._last_progress_at = float("-inf")

    def progress(self, stage: Stage, fraction: float) -> None:
        """Say how far a stage is, from 0 to 1; more than four times a second is dropped."""
        now = time.monotonic()
        if now - self._last_progress_at >= _SECONDS_BETWEEN_PROGRESS:
            self._last_progress_at = now
            self._say(progress=round(fraction_of(stage, fraction), 4), stage=stage.name)

    def result(self, value: dict[str, Any]) -> None:
        self._say(result=value)

    def invalid_media(self, text: str) -> None:
        """The file is at fault. ``text`` is for its owner and names no path."""
        self._say(invalid_media=text)

    def crashed(self, reason: str) -> None:
        """This process gives up; ``reason`` continues "The media process …"."""
        self._say(crashed=reason)

    def _say(self, **message: Any) -> None:
        self._stream.write(json.dumps(message, allow_nan=False).encode() + b"\n")
        self._stream.flush()
