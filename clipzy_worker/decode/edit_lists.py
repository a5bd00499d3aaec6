"""Checks the edit lists of an MP4 or MOV file before FFmpeg reads them.

FFmpeg plays them, and decodes for each segment from the last key frame before it on. Its time to read the file's header
grows with segments times frames, so a file with too many is refused before it is opened.
"""

import os
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction

from clipzy_worker.decode.mp4_boxes import Box, header_boxes
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaLimits

MAX_RATIO = Fraction(3, 2)
"""Of the duration of all segments to that of the media."""

_EMPTY = -1
"""The media time of a segment that plays nothing."""
_TRACKS = {b"vide": "video", b"soun": "audio"}
_HEADER_BYTES = 64  # of a box that is not a table
_COMPRESSED = "The file's header is compressed, which is not accepted. Save the video anew and try again."


@dataclass
class _Track:
    name: str = ""
    """Empty for a track that is not decoded."""
    media_seconds: Fraction = Fraction(0)
    edits: int = 0
    edited_ticks: int = 0
    """By the movie's clock, of the segments that are not empty."""


@dataclass
class _Movie:
    ticks_per_second: int = 0
    is_fragmented: bool = False
    tracks: list[_Track] = field(default_factory=list)


def check_edit_lists(file: int, limits: MediaLimits) -> None:
    """Raise ``InvalidMedia`` if the lists of the open file have too many segments, or play too much of its media.

    Raises ``OSError``. The position of the file does not change, and damage is left to FFmpeg.
    """
    movie = _Reader(file, limits.max_edits).movie()
    edits = sum(track.edits for track in movie.tracks)
    if edits > limits.max_edits:
        raise InvalidMedia(f"The edit lists have {edits} segments; at most {limits.max_edits} are accepted.")
    for track in movie.tracks:
        # The header of a fragmented file does not count the media that follows it.
        if track.name and track.media_seconds and movie.ticks_per_second and not movie.is_fragmented:
            _check_duration(track, movie.ticks_per_second)


def _check_duration(track: _Track, ticks_per_second: int) -> None:
    rounding_ticks = track.edits
    edited_seconds = Fraction(max(track.edited_ticks - rounding_ticks, 0), ticks_per_second)
    if edited_seconds > MAX_RATIO * track.media_seconds:
        raise InvalidMedia(
            f"The edit list plays {float(edited_seconds):.2f} seconds of the {track.name} track, which lasts"
            f" {float(track.media_seconds):.2f}; at most {float(MAX_RATIO):g} times its duration is accepted."
        )


class _Reader:
    """Reads the header of one file."""

    def __init__(self, file: int, max_edits: int) -> None:
        self._file, self._max_edits = file, max_edits
        self._movie = _Movie()

    def movie(self) -> _Movie:
        for box in header_boxes(self._file):
            with suppress(struct.error, IndexError, ZeroDivisionError):
                self._take(box)
        return self._movie

    def _read(self, box: Box, length: int = _HEADER_BYTES) -> bytes:
        return os.pread(self._file, min(length, box.end - box.start), box.start)

    def _take(self, box: Box) -> None:
        match box.kind:
            case b"cmov":
                raise InvalidMedia(_COMPRESSED)
            case b"mvhd":
                self._movie.ticks_per_second = _clock(self._read(box))[0]
            case b"mvex":
                self._movie.is_fragmented = True
            case b"trak":
                self._movie.tracks.append(_Track())
            case b"hdlr":
                track = self._movie.tracks[-1]
                track.name = _TRACKS.get(self._read(box)[8:12], track.name)
            case b"mdhd":
                ticks_per_second, ticks = _clock(self._read(box))
                self._movie.tracks[-1].media_seconds = Fraction(ticks, ticks_per_second)
            case b"elst":
                self._take_edits(box)

    def _take_edits(self, box: Box) -> None:
        version, claimed = struct.unpack_from(">BxxxI", self._read(box))
        entry = struct.Struct(">QqI" if version == 1 else ">IiI")
        count = min(claimed, (box.end - box.start - 8) // entry.size)
        track = self._movie.tracks[-1]
        track.edits += count
        if count <= self._max_edits:
            entries = entry.iter_unpack(self._read(box, 8 + count * entry.size)[8:])
            track.edited_ticks += sum(ticks for ticks, media_time, _ in entries if media_time != _EMPTY)


def _clock(data: bytes) -> tuple[int, int]:
    """Ticks per second, and duration in ticks, of an ``mvhd`` or ``mdhd`` box."""
    ticks_per_second, ticks = struct.unpack_from(*((">IQ", data, 20) if data[0] == 1 else (">II", data, 12)))
    return ticks_per_second, ticks
