"""How a media process speaks to its parent: one JSON object a line on stdout."""

import json
import time
from typing import Any, BinaryIO

from clipzy_worker.pipeline import Stage, fraction_of

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
