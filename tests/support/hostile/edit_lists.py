"""MP4 files with edit lists of any kind, made from files of ffmpeg, whose header comes last."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Edit:
    """One segment, which plays the media from a time on; without one it is empty."""

    duration_seconds: float
    from_seconds: float | None = 0


def write_edits(path: Path, edits: Sequence[Edit], *, to: Path, track: int = 0, version: int = 0) -> Path:
    """Replace the edit list of one track; returns ``to``."""
    data = path.read_bytes()
    moov = _find(data, b"moov")
    trak = _find(data, b"trak", inside=moov, skip=track)
    mdia = _find(data, b"mdia", inside=trak)
    edts = _find(data, b"edts", inside=trak)
    elst = _find(data, b"elst", inside=edts)
    movie, media = _ticks(data, _find(data, b"mvhd", inside=moov)), _ticks(data, _find(data, b"mdhd", inside=mdia))
    content = _edit_list(edits, version, movie_ticks_per_second=movie, media_ticks_per_second=media)
    changed = bytearray(data[: elst[0] + 8] + content + data[elst[1] :])
    grown = 8 + len(content) - (elst[1] - elst[0])
    for start, end in (moov, trak, edts, elst):
        changed[start : start + 4] = (end - start + grown).to_bytes(4, "big")
    to.write_bytes(changed)
    return to


def _edit_list(
    edits: Sequence[Edit], version: int, *, movie_ticks_per_second: int, media_ticks_per_second: int
) -> bytes:
    entries = b"".join(
        struct.pack(
            ">Qqhh" if version else ">Iihh",
            round(edit.duration_seconds * movie_ticks_per_second),
            -1 if edit.from_seconds is None else round(edit.from_seconds * media_ticks_per_second),
            1,
            0,
        )
        for edit in edits
    )
    return struct.pack(">BxxxI", version, len(edits)) + entries


def _ticks(data: bytes, clock: tuple[int, int]) -> int:
    """Per second, by a header of version 0."""
    return int.from_bytes(data[clock[0] + 20 : clock[0] + 24], "big")


def _find(data: bytes, kind: bytes, *, inside: tuple[int, int] | None = None, skip: int = 0) -> tuple[int, int]:
    """Where a box in another one begins and ends, after ``skip`` of its kind."""
    at, end = (inside[0] + 8, inside[1]) if inside else (0, len(data))
    while at < end:
        size = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == kind:
            if skip == 0:
                return at, at + size
            skip -= 1
        at += size
    raise AssertionError(f"the file has no {kind!r}")
