"""Counts what is decoded of one video and encoded again, in pixels, against the limit of ``MAX_VIDEO_TERAPIXELS``."""

from typing import Any

from av.packet import Packet

from clipzy_worker.errors import InvalidMedia

SETTING = "MAX_VIDEO_TERAPIXELS"
_TERA = 1e12
_AV1_FRAME_UNITS = {3, 6}
"""A frame header, and a whole frame."""


class DecodedPixels:
    """What one job decodes, in all passes over its video and whether it is shown or not, and what it encodes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0

    def check_claim(self, *, frames: int, width: int, height: int) -> None:
        """Raise ``InvalidMedia`` if that would be too much."""
        pixels = frames * width * height
        if pixels > self._limit:
            raise InvalidMedia(
                f"The video claims {frames} frames of {width}x{height}, which is {pixels / _TERA:.6g} terapixels to"
                f" decode; at most {self._limit / _TERA:g} are accepted ({SETTING})."
            )

    def check_rendered(self, pixels: int) -> None:
        """Raise ``InvalidMedia`` if so many, decoded and encoded by analysing and rendering together, are too many."""
        if pixels > self._limit:
            raise InvalidMedia(
                f"To analyse and to render the video, at least {pixels / _TERA:.6g} terapixels would be decoded and"
                f" encoded; at most {self._limit / _TERA:g} are accepted ({SETTING})."
                " Ask for less, or for smaller pictures, in the job's config."
            )

    def add(self, *, frames: int, width: int, height: int) -> None:
        """Count frames that are about to be decoded or encoded. Raises ``InvalidMedia`` if they are too many."""
        self._count += frames * width * height
        if self._count > self._limit:
            raise InvalidMedia(
                f"The video has over {self._count / _TERA:.6g} terapixels to decode, and to encode if it is rendered;"
                f" at most {self._limit / _TERA:g} are accepted ({SETTING})."
            )


def coded_frames(decoder: str, packet: "Packet[Any]") -> int:
    """How many frames the decoder makes of a packet, the hidden ones included; at least one.

    Packets of the other decoders have one frame each: what follows it is ignored.
    """
    match decoder:
        case "libdav1d" | "av1":
            return max(1, _av1_frames(bytes(packet)))
        case "vp9":
            return _vp9_frames(bytes(packet)[-1:])
        case "mpeg1video" | "mpeg2video":
            return max(1, bytes(packet).count(b"\0\0\1\0"))  # the start code of a picture
    return 1


def _vp9_frames(end: bytes) -> int:
    """By the last byte of a packet, which marks a superframe."""
    return (end[0] & 7) + 1 if end and end[0] & 0xE0 == 0xC0 else 1


def _av1_frames(packet: bytes) -> int:
    """The frame headers among its units, which all have their size but the last."""
    found, at = 0, 0
    while at < len(packet):
        kind, has_extension, has_size = packet[at] >> 3 & 15, packet[at] & 4, packet[at] & 2
        found += kind in _AV1_FRAME_UNITS
        at += 2 if has_extension else 1
        if not has_size:
            break
        size, at = _leb128(packet, at)
        at += size
    return found


def _leb128(packet: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, and where the next one begins."""
    value = 0
    for shift in range(0, 56, 7):
        group = packet[at] if at < len(packet) else 0
        value, at = value | (group & 127) << shift, at + 1
        if group < 128:
            break
    return value, at
