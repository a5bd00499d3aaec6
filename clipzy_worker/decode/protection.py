"""Which tracks are encrypted: without their key they decode to damage, of which the owner should not be told."""

import os
import struct
from contextlib import suppress

from av.container import InputContainer

from clipzy_worker.decode.mp4_boxes import Box, header_boxes

# Sample entries of Common Encryption (ISO/IEC 23001-7), and those of iTunes.
_ENCRYPTED_ENTRIES = frozenset({b"encv", b"enca", b"drmi", b"drms"})
_MAX_ENTRIES = 16
# Where FFmpeg puts the key's identity of an encrypted Matroska track; a tag of that name would be in capitals.
_MATROSKA_KEY = "enc_key_id"


def encrypted_mp4_tracks(file: int) -> frozenset[int]:
    """The identities of the encrypted tracks of an open MP4 or MOV file.

    Raises ``InvalidMedia`` if its header has too many parts, and ``OSError``.
    """
    found: set[int] = set()
    track = 0
    for box in header_boxes(file):
        with suppress(struct.error):
            if box.kind == b"tkhd":
                track = _track(file, box)
            elif box.kind == b"stsd" and not _ENCRYPTED_ENTRIES.isdisjoint(_entries(file, box)):
                found.add(track)
    return frozenset(found)


def encrypted_streams(container: InputContainer, mp4_tracks: frozenset[int]) -> frozenset[int]:
    """The indexes of the encrypted streams of an opened file; ``mp4_tracks`` are those that its boxes name."""
    return frozenset(
        stream.index for stream in container.streams if stream.id in mp4_tracks or _MATROSKA_KEY in stream.metadata
    )


def _track(file: int, box: Box) -> int:
    header = os.pread(file, 24, box.start)
    (number,) = struct.unpack_from(">I", header, 20 if header[:1] == b"\1" else 12)
    return int(number)


def _entries(file: int, box: Box) -> list[bytes]:
    """The kinds of the sample entries: a file may begin in the clear."""
    kinds: list[bytes] = []
    at = box.start + 8
    while at + 8 <= box.end and len(kinds) < _MAX_ENTRIES:
        size, kind = struct.unpack(">I4s", os.pread(file, 8, at))
        kinds.append(kind)
        at += max(size, 8)
    return kinds
