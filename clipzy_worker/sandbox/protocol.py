"""The messages of a media process to its parent: one JSON object a line, written to stdout.

``Report`` is the side of the child. ``Messages`` is the side of the parent, which must cope with any bytes.
"""

import json
import math
import time
from typing import Any, BinaryIO

from clipzy_worker.stages import STAGES, Stage, fraction_of

OUT_OF_MEMORY = "ran out of memory"
# Two reasons that are outages of disk and storage, not crashes.
OUT_OF_SPACE = "ran out of disk space"
SOURCE_LOST = "could not read the video from storage"

_MAX_LINE_BYTES = 32 << 20
_MAX_TOTAL_BYTES = 64 << 20
_MAX_TEXT_LENGTH = 300
_PROGRESS_INTERVAL_SECONDS = 0.25
_STAGES = {stage.name for stage in STAGES}


class ProtocolError(Exception):
    """What the child wrote is no message. The text continues "The media process …"."""


class Messages:
    """Parses a child's stdout and keeps the latest message of each kind."""

    def __init__(self) -> None:
        self.fraction = 0.0
        """Of all stages, from 0 to 1; never falls."""
        self.stage = STAGES[0].name
        self.result: dict[str, Any] | None = None
        self.invalid_media: str | None = None
        self.crashed: str | None = None
        self._line = bytearray()
        self._total_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes, split anywhere. Raises ``ProtocolError`` if they are too many or no message."""
        self._total_bytes += len(data)
        self._line += data
        if len(self._line) > _MAX_LINE_BYTES or self._total_bytes > _MAX_TOTAL_BYTES:
            raise ProtocolError("sent more than it may")
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
                raise ProtocolError("sent something that is not a message")


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("sent something that is not a message") from error


def printable(text: str, *, length: int = _MAX_TEXT_LENGTH) -> str:
    """The first ``length`` characters, without any that move a cursor, end a line or change the writing direction."""
    return "".join(character for character in text[:length] if character.isprintable())


class Report:
    """Writes the child's messages, each whole and immediately."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._last_progress_at = float("-inf")

    def progress(self, stage: Stage, fraction: float) -> None:
        """Send how far a stage is, from 0 to 1, at most four times a second; the rest is dropped."""
        now = time.monotonic()
        if now - self._last_progress_at >= _PROGRESS_INTERVAL_SECONDS:
            self._last_progress_at = now
            self._send(progress=round(fraction_of(stage, fraction), 4), stage=stage.name)

    def result(self, value: dict[str, Any]) -> None:
        self._send(result=value)

    def invalid_media(self, text: str) -> None:
        """Send that the file is at fault. ``text`` is for its owner and names no path."""
        self._send(invalid_media=text)

    def crashed(self, reason: str) -> None:
        """Send that this process gives up; ``reason`` continues "The media process …"."""
        self._send(crashed=reason)

    def _send(self, **message: Any) -> None:
        self._stream.write(json.dumps(message, allow_nan=False).encode() + b"\n")
        self._stream.flush()
