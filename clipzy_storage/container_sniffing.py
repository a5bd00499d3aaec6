"""Recognises a container by its first bytes, to refuse what cannot be video. Pure."""

from collections.abc import Iterator
from typing import Literal

Container = Literal["mp4", "mov", "avi", "mkv", "webm"]

SNIFF_BYTES = 64 << 10

_EBML_MAGIC = b"\x1a\x45\xdf\xa3"
_EBML_DOC_TYPE = b"\x42\x82"
_DOC_TYPES: dict[bytes, Container] = {b"matroska": "mkv", b"webm": "webm"}
# Still images share the `ftyp` box with mp4.
_IMAGE_BRANDS = frozenset({b"heic", b"heix", b"mif1", b"avif", b"jp2 ", b"crx "})
_MOVIE_ATOMS = frozenset({b"moov", b"mdat", b"pnot"})
_PADDING_ATOMS = frozenset({b"wide", b"free", b"skip"})


def container_of(first_bytes: bytes) -> Container | None:
    """The container of the file, or ``None`` if it is not supported. ``SNIFF_BYTES`` are always enough."""
    if first_bytes[:4] == _EBML_MAGIC:
        return _DOC_TYPES.get(_ebml_doc_type(first_bytes))
    if first_bytes[:4] == b"RIFF" and first_bytes[8:12] == b"AVI ":
        return "avi"
    return _iso_media(first_bytes)


def _iso_media(data: bytes) -> Container | None:
    for kind, payload in _atoms(data):
        if kind == b"ftyp":
            brand = payload[:4]
            if len(brand) < 4 or brand in _IMAGE_BRANDS:
                return None
            return "mov" if brand == b"qt  " else "mp4"
        if kind in _MOVIE_ATOMS:
            return "mov"  # QuickTime before it had brands
        if kind not in _PADDING_ATOMS:
            return None
    return None


def _atoms(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and payload (cut at the end of ``data``) of each atom that begins in ``data``."""
    at = 0
    while at + 8 <= len(data):
        size, header = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:  # a 64-bit size follows the kind
            size, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if size == 0:  # the atom extends to the end of the file
            size = len(data) - at
        if size < header:
            return
        yield data[at + 4 : at + 8], data[at + header : at + size]
        at += size


def _ebml_doc_type(data: bytes) -> bytes:
    """The DocType of the EBML header; empty if it is not within ``data``."""
    header_size, at = _vint(data, 4)
    end = min(at + header_size, len(data))
    while at < end:
        identity = data[at : at + _vint_width(data, at)]
        size, at = _vint(data, at + len(identity))
        if identity == _EBML_DOC_TYPE:
            return data[at : at + size].rstrip(b"\0")
        at += size
    return b""


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """An EBML variable-length integer, and the position after it."""
    width = _vint_width(data, at)
    number = int.from_bytes(data[at : at + width], "big")
    return number & ((1 << 7 * width) - 1), at + width


def _vint_width(data: bytes, at: int) -> int:
    """1 to 8, by the leading zero bits; 8 if the first byte is zero or missing, so that a reader always advances."""
    first = data[at] if at < len(data) else 0
    return min(9 - first.bit_length(), 8)
