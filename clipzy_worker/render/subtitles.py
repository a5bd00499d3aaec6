"""WebVTT cues for the speech of a clip."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from clipzy_storage.models.measurements import Span

_TEXT = "[speech]"


def write_speech_cues(path: Path, speech: Iterable[Span], *, start_seconds: float, end_seconds: float) -> bool:
    """A cue for each section of speech within the clip, on the clip's own clock. Without any no file is written.

    Returns whether it was. Raises ``OSError``.
    """
    cues = list(_cues(speech, start_seconds, end_seconds))
    if cues:
        path.write_text("\n".join(["WEBVTT\n", *cues]))
    return bool(cues)


def _cues(speech: Iterable[Span], start_seconds: float, end_seconds: float) -> Iterator[str]:
    for span in speech:
        begin = _milliseconds(max(span.start_seconds, start_seconds) - start_seconds)
        end = _milliseconds(min(span.end_seconds, end_seconds) - start_seconds)
        if begin < end:
            yield f"{_timestamp(begin)} --> {_timestamp(end)}\n{_TEXT}\n"


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _timestamp(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
