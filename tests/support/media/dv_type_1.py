"""An AVI as cameras captured it over FireWire: one stream of DV frames, each with its picture and its sound."""

import struct
from pathlib import Path

from tests.support.media.clips import ffmpeg

_FRAME_BYTES, _WIDTH, _HEIGHT, _RATE = 144_000, 720, 576, 25


def dv_type_1(path: Path, *, seconds: float) -> Path:
    """PAL, with a tone. FFmpeg writes only the other type, which has a stream for each."""
    raw = path.with_suffix(".dv")
    picture = f"testsrc2=size={_WIDTH}x{_HEIGHT}:rate={_RATE}:duration={seconds}"
    tone = f"sine=1000:sample_rate=48000:duration={seconds}"
    ffmpeg(
        *("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-pix_fmt", "yuv420p"),
        *("-c:v", "dvvideo", "-ac", "2", "-f", "dv", str(raw)),
    )
    data = raw.read_bytes()
    frames = [data[at : at + _FRAME_BYTES] for at in range(0, len(data), _FRAME_BYTES)]
    stream = _chunk("strh", _stream_header(len(frames))) + _chunk("strf", bytes(32))
    header = _list("hdrl", _chunk("avih", _header(len(frames))) + _list("strl", stream))
    movie = _list("movi", b"".join(_chunk("00__", frame) for frame in frames))
    path.write_bytes(_chunk("RIFF", b"AVI " + header + movie + _chunk("idx1", _index(len(frames)))))
    return path


def _header(frames: int) -> bytes:
    has_index, streams = 0x10, 1
    return struct.pack(
        "<14I", 1_000_000 // _RATE, 0, 0, has_index, frames, 0, streams, _FRAME_BYTES, _WIDTH, _HEIGHT, 0, 0, 0, 0
    )


def _stream_header(frames: int) -> bytes:
    scale, start, quality, sample_bytes = 1, 0, 0xFFFFFFFF, 0
    return b"iavsdvsd" + struct.pack(
        "<IHH8I4h", 0, 0, 0, 0, scale, _RATE, start, frames, _FRAME_BYTES, quality, sample_bytes, 0, 0, _WIDTH, _HEIGHT
    )


def _index(frames: int) -> bytes:
    is_key, length = 0x10, 8 + _FRAME_BYTES
    return b"".join(b"00__" + struct.pack("<III", is_key, 4 + frame * length, _FRAME_BYTES) for frame in range(frames))


def _chunk(name: str, content: bytes) -> bytes:
    return name.encode() + struct.pack("<I", len(content)) + content


def _list(name: str, content: bytes) -> bytes:
    return _chunk("LIST", name.encode() + content)
