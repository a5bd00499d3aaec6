"""Tables of shots and of clips: CSV by RFC 4180, with the names of ``output.json``."""

import csv
from io import StringIO

from clipzy_api.exports.document import Clip, Shot
from clipzy_api.exports.timeline import Section, Timeline

Cell = str | int | float | None

_PLACE = ("start_frame", "end_frame", "start_timecode", "end_timecode", "media")
SHOT_COLUMNS = ("index", "start_seconds", "end_seconds", "transition", "transition_seconds", *_PLACE)
CLIP_COLUMNS = (
    *("index", "rank", "score", "profile", "start_seconds", "end_seconds", "first_shot", "last_shot"),
    *_PLACE,
)
_FORMULA_BEGINNINGS = ("=", "+", "-", "@")


def table(timeline: Timeline) -> str:
    """A row for each section. Timecodes are those of the file."""
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(SHOT_COLUMNS if timeline.of == "shots" else CLIP_COLUMNS)
    for section in timeline.sections:
        writer.writerow(map(_cell, (*_values(section.part), *_place(timeline, section))))
    return text.getvalue()


def _values(part: Shot | Clip) -> tuple[Cell, ...]:
    if isinstance(part, Shot):
        return (part.index, part.start_seconds, part.end_seconds, part.transition, part.transition_seconds)
    about = (part.index, part.rank, part.score, part.profile)
    return (*about, part.start_seconds, part.end_seconds, *part.shots)


def _place(timeline: Timeline, section: Section) -> tuple[Cell, ...]:
    frames = (section.start_frame, section.end_frame)
    timecodes = (timeline.timecode.text(timeline.source_start + frame) for frame in frames)
    return (*frames, *timecodes, timeline.media.text)


def _cell(value: Cell) -> Cell:
    """A spreadsheet would take a name for a formula that begins like one."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_BEGINNINGS) else value
