"""The boxes of an MP4 or MOV file's header, read before FFmpeg opens it. No content is interpreted here."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from clipzy_worker.errors import InvalidMedia

_MAX_BOXES = 100_000
_MAX_DEPTH = 16
# FFmpeg looks for what matters here in all of these, wherever they are.
_CONTAINERS = frozenset(b"moov trak edts mdia minf stbl dinf udta tref wide sinf schi mvex".split())


@dataclass(frozen=True)
class Box:
    kind: bytes
    start: int
    """Of its content."""
    end: int


def header_boxes(file: int) -> Iterator[Box]:
    """Every box up to the end of the first ``moov``, of which FFmpeg too takes the first.

    Raises ``InvalidMedia`` if there are too many, and ``OSError``. The position of the open file does not change.
    """
    moov: Box | None = None
    for count, box in enumerate(_boxes(file, 0, os.fstat(file).st_size)):
        if count > _MAX_BOXES:
            raise InvalidMedia("The file's header has more parts than that of any video.")
        if moov is not None and box.start > moov.end:
            return
        if box.kind == b"moov":
            moov = moov or box
        yield box


def _boxes(file: int, start: int, end: int, *, depth: int = 0) -> Iterator[Box]:
    """Each box, and then those in it."""
    while start + 8 <= end and len(header := os.pread(file, 16, start)) >= 8:
        size, kind = struct.unpack_from(">I4s", header)
        content = start + 8
        if size == 1 and len(header) == 16:
            (size,), content = struct.unpack_from(">Q", header, 8), start + 16
        box = Box(kind, content, min(start + size, end) if size else end)
        if box.end < content:
            return
        yield box
        if kind in _CONTAINERS and depth < _MAX_DEPTH:
            yield from _boxes(file, content, box.end, depth=depth + 1)
        start = box.end
