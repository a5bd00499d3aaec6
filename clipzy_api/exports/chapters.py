"""Chapters of a video, and the files in which players read them: WebVTT and FFmpeg's metadata."""

import re
from bisect import bisect
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Final

from clipzy_api.exports.document import Audio, Document, Shot, Span
from clipzy_api.exports.media_file import one_line
from clipzy_api.exports.timeline import Of

MIN_CHAPTER_SECONDS: Final = 10.0
MIN_CHAPTERS: Final = 3
"""As YouTube asks for. A video that would have fewer has none."""
MAX_CHAPTERS: Final = 50
"""A long video has longer ones."""

_FFMETADATA_SPECIAL = re.compile(r"([=;#\\\n])")


@dataclass(frozen=True)
class Chapter:
    start_ms: int
    end_ms: int
    title: str


def chapters_of(document: Document, of: Of) -> list[Chapter]:
    """In order, without overlap: shots joined to chapters, or the clips. None if there would be too few."""
    if of == "clips":
        spans = _apart([(clip.start_seconds, clip.end_seconds) for clip in document.clips])
        return [_chapter(start, end, f"Clip {number}") for number, (start, end) in enumerate(spans, 1) if end > start]
    starts = _starts(document)
    if len(starts) < MIN_CHAPTERS:
        return []
    bounds = pairwise([*starts, document.source.duration_seconds])
    return [_chapter(start, end, f"Chapter {number}") for number, (start, end) in enumerate(bounds, 1)]


def vtt(chapters: list[Chapter]) -> str:
    cues = [f"\n{_clock(one.start_ms)} --> {_clock(one.end_ms)}\n{_cue_text(one.title)}\n" for one in chapters]
    return "WEBVTT\n" + "".join(cues)


def ffmetadata(chapters: list[Chapter]) -> str:
    """Without its TIMEBASE a chapter would be in nanoseconds."""
    sections = [
        f"\n[CHAPTER]\nTIMEBASE=1/1000\nSTART={one.start_ms}\nEND={one.end_ms}\ntitle={_escaped(one.title)}\n"
        for one in chapters
    ]
    return ";FFMETADATA1\n" + "".join(sections)


def _starts(document: Document) -> list[float]:
    """Where chapters begin: at fades first, then dissolves, then cuts in a pause; at other cuts only for want of them.

    The first at 0, each at least MIN_CHAPTER_SECONDS long.
    """
    end_seconds = document.source.duration_seconds
    shortest = max(MIN_CHAPTER_SECONDS, end_seconds / MAX_CHAPTERS)
    chosen = [0.0, end_seconds]
    *better, others = _by_weight(document.shots[1:], _Pauses(document.sound))
    for starts in better:
        _choose(starts, chosen, shortest_seconds=shortest)
    if len(chosen) <= MIN_CHAPTERS:
        _choose(others, chosen, shortest_seconds=shortest)
    return chosen[:-1]


def _choose(starts: list[float], chosen: list[float], *, shortest_seconds: float) -> None:
    """Add those that are far enough from the chosen ones on both sides."""
    for start in starts:
        place = bisect(chosen, start)
        if all(abs(start - other) >= shortest_seconds for other in chosen[place - 1 : place + 1]):
            chosen.insert(place, start)


def _by_weight(boundaries: list[Shot], pauses: "_Pauses") -> tuple[list[float], ...]:
    """The times of fades, of dissolves, of cuts in a pause, and of other cuts."""
    tiers: tuple[list[float], ...] = ([], [], [], [])
    for shot in boundaries:
        begins_in_pause = pauses.has(shot.start_seconds)
        tier = {"fade": 0, "dissolve": 1}.get(shot.transition, 2 if begins_in_pause else 3)
        tiers[tier].append(shot.start_seconds)
    return tiers


class _Pauses:
    """Where there is silence or, in a video with speech, none of it."""

    def __init__(self, sound: Audio | None) -> None:
        self._silences = _Spans(sound.silences if sound else [])
        self._speech = _Spans(sound.speech if sound else [])

    def has(self, seconds: float) -> bool:
        return self._silences.has(seconds) or (not self._speech.are_none and not self._speech.has(seconds))


class _Spans:
    """Sections in order, without overlap."""

    def __init__(self, spans: list[Span]) -> None:
        self._starts = [span.start_seconds for span in spans]
        self._ends = [span.end_seconds for span in spans]
        self.are_none = not spans

    def has(self, seconds: float) -> bool:
        place = bisect(self._starts, seconds) - 1
        return place >= 0 and seconds <= self._ends[place]


def _apart(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same by time, each ending where the next begins at the latest."""
    ordered = sorted(spans)
    nexts = [*(start for start, _ in ordered[1:]), inf]
    return [(start, min(end, following)) for (start, end), following in zip(ordered, nexts, strict=False)]


def _chapter(start_seconds: float, end_seconds: float, title: str) -> Chapter:
    return Chapter(round(start_seconds * 1000), round(end_seconds * 1000), title)


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"


def _cue_text(title: str) -> str:
    """One line in which nothing is markup, and no arrow."""
    return one_line(title).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _escaped(title: str) -> str:
    return _FFMETADATA_SPECIAL.sub(r"\\\1", title)
