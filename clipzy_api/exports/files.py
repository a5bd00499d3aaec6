"""Each format: what writes it, its media type, and how many sections it may have."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from clipzy_api.exports.chapters import Chapter, chapters_of, ffmetadata, vtt
from clipzy_api.exports.document import Document
from clipzy_api.exports.edl import MAX_EVENTS, edl
from clipzy_api.exports.fcp7 import fcp7
from clipzy_api.exports.fcpxml import fcpxml
from clipzy_api.exports.media_file import MediaFile
from clipzy_api.exports.otio import otio
from clipzy_api.exports.tables import table
from clipzy_api.exports.timeline import Of, Timeline, timeline_of

FormatName = Literal["otio", "edl", "fcpxml", "fcp7", "csv", "vtt", "ffmetadata"]
FORMAT_NAMES: tuple[FormatName, ...] = get_args(FormatName)
MAX_SECTIONS = 5000
"""Of a timeline for an editing program, which would hardly open more; and making it would take long."""
_MAX_STEM_LENGTH = 80
_NOT_IN_FILE_NAMES = re.compile(r'[\\/:*?"<>|%]')

_Write = Callable[[Document, Of, MediaFile], str]


class TooManySections(Exception):
    """The format cannot have so many; the message says what helps."""


@dataclass(frozen=True)
class ExportFile:
    """``name`` is of the upload, and safe as the name of a file on every system."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class _Format:
    extension: str
    content_type: str
    write: _Write
    max_sections: int | None = None


def exported(document: Document, format_name: FormatName, of: Of, *, media: str = "") -> ExportFile:
    """The file. ``media`` is the name, path or URL of the video for the program that opens it, or else its own name.

    Raises ``TooManySections``.
    """
    chosen = _FORMATS[format_name]
    count = len(document.shots if of == "shots" else document.clips)
    if chosen.max_sections and count > chosen.max_sections:
        raise TooManySections(_advice(format_name, of, count, chosen.max_sections))
    text = chosen.write(document, of, MediaFile.named(media or document.source.filename))
    stem = _NOT_IN_FILE_NAMES.sub("_", MediaFile.named(document.source.filename).stem).lstrip(".")
    name = f"{stem[:_MAX_STEM_LENGTH] or 'video'}-{of}.{chosen.extension}"
    return ExportFile(name, chosen.content_type, text.encode())


def _advice(format_name: FormatName, of: Of, count: int, most: int) -> str:
    others = (
        "otio, fcpxml and fcp7 have room for more; so has csv" if count <= MAX_SECTIONS else "csv has room for more"
    )
    fewer = " Or export the clips, with of=clips." if of == "shots" else ""
    return f"There are {count} {of}, and {format_name} has room for {most}: {others}.{fewer}"


def _of_timeline(write: Callable[[Timeline], str]) -> _Write:
    return lambda document, of, media: write(timeline_of(document, of, media))


def _of_chapters(write: Callable[[list[Chapter]], str]) -> _Write:
    return lambda document, of, _media: write(chapters_of(document, of))


_XML, _TEXT = "application/xml; charset=utf-8", "text/plain; charset=utf-8"
_FORMATS: Mapping[FormatName, _Format] = {
    "otio": _Format("otio", "application/json", _of_timeline(otio), MAX_SECTIONS),
    "edl": _Format("edl", _TEXT, _of_timeline(edl), MAX_EVENTS),
    "fcpxml": _Format("fcpxml", _XML, _of_timeline(fcpxml), MAX_SECTIONS),
    "fcp7": _Format("xml", _XML, _of_timeline(fcp7), MAX_SECTIONS),
    "csv": _Format("csv", "text/csv; charset=utf-8; header=present", _of_timeline(table)),
    "vtt": _Format("vtt", "text/vtt; charset=utf-8", _of_chapters(vtt)),
    "ffmetadata": _Format("ffmeta", _TEXT, _of_chapters(ffmetadata)),
}
CONTENT_TYPES = {name: one.content_type.partition(";")[0] for name, one in _FORMATS.items()}
