"""Small files that demand much, each with its required outcome. Made by ffmpeg, or byte by byte if it refuses."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.media.clips import ffmpeg

REFUSED, ANALYSED = "refused", "analysed"


@dataclass(frozen=True)
class Bomb:
    """``outcome`` is how the outcome begins, and ``message`` a part of it that tells the owner why."""

    make: Callable[[Path], None]
    outcome: str
    message: str = ""
    suffix: str = "mkv"


def _video(*arguments: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        ffmpeg(*arguments, str(path))

    return make


def _patched(old: bytes, new: bytes, *arguments: str) -> Callable[[Path], None]:
    """A video encoded by ffmpeg in which some bytes are replaced."""

    def make(path: Path) -> None:
        ffmpeg(*arguments, str(path))
        data = path.read_bytes()
        if old not in data:
            raise AssertionError("the encoded video is not as expected")
        path.write_bytes(data.replace(old, new))

    return make


def _written(data: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(data)

    return make


def _many_tracks(path: Path) -> None:
    """One frame as a thousand tracks of one video."""
    still = path.with_name("still.mkv")
    ffmpeg(
        "-f", "lavfi", "-i", "color=size=16x16:rate=1:duration=1", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", str(still)
    )
    ffmpeg("-i", str(still), *("-map", "0:v") * 1000, "-c", "copy", str(path))
    still.unlink()


def _with_false_header(mark: bytes, offset: int, value: bytes) -> Callable[[Path], None]:
    """A second of video with ``value`` in its header, ``offset`` bytes after ``mark``."""

    def make(path: Path) -> None:
        ffmpeg(*_SECOND, "-pix_fmt", "yuv420p", str(path))
        data = bytearray(path.read_bytes())
        at = data.index(mark) + offset
        data[at : at + len(value)] = value
        path.write_bytes(bytes(data))

    return make


def _changing_size(path: Path) -> None:
    """H.264 that begins at 64x64 and continues at 6400x6400, which its header does not mention."""
    small, large = path.with_name("small.h264"), path.with_name("large.h264")
    for name, size, seconds in ((small, "64x64", 8), (large, "6400x6400", 0.4)):
        ffmpeg("-f", "lavfi", "-i", f"color=size={size}:rate=5:duration={seconds}", *_TINY, str(name))
    both = path.with_name("both.h264")
    both.write_bytes(small.read_bytes() + large.read_bytes())
    ffmpeg("-f", "h264", "-r", "5", "-i", str(both), "-c", "copy", str(path))
    for name in (small, large, both):
        name.unlink()


_FOR_DAYS = (0xF0000000).to_bytes(4, "big")
_SECOND = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1")
_DOT = "color=size=16x16:rate=240:duration={seconds}"
_TINY = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")

BOMBS = {
    "a frame of 16k x 16k": Bomb(
        _patched(
            *((1234).to_bytes(2, "big"), (16384).to_bytes(2, "big")),
            *("-f", "lavfi", "-i", "color=size=1234x1234", "-frames:v", "1", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
        ),
        REFUSED,
        "no frame size",  # more than FFmpeg itself accepts
    ),
    "a frame of 8k x 8k": Bomb(
        _video("-f", "lavfi", "-i", "color=size=8000x8000", "-frames:v", "1", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
        REFUSED,
        "million pixels",
    ),
    "a frame of one pixel": Bomb(
        _video("-f", "lavfi", "-i", "color=size=1x1:rate=25:duration=2", "-c:v", "mpeg4"), ANALYSED
    ),
    "frames without end": Bomb(
        _video("-f", "lavfi", "-i", _DOT.format(seconds=25), *_TINY, "-bsf:v", "setts=ts=N/200"),
        REFUSED,
        "frames in",
    ),
    "an impossible frame rate": Bomb(
        _video("-f", "lavfi", "-i", "color=size=16x16:rate=1000:duration=1", *_TINY), REFUSED, "1000 frames per second"
    ),
    "frames a hundred times as far apart as others": Bomb(
        _video(*_SECOND, *_TINY, "-vf", "setpts='if(lt(N,12),N,N*100)'", "-fps_mode", "vfr"), ANALYSED
    ),
    "a thousand tracks": Bomb(_many_tracks, REFUSED, "tracks"),
    "a duration of days": Bomb(
        _video(*_SECOND, *_TINY, "-vf", "setpts=N*86400*25/TB/25", "-fps_mode", "vfr"),
        REFUSED,
        "longer than 12 hours",
    ),
    "an edit list of days": Bomb(_with_false_header(b"elst", 12, _FOR_DAYS), REFUSED, "edit list plays", suffix="mp4"),
    "a track that claims days": Bomb(_with_false_header(b"mdhd", 20, _FOR_DAYS), ANALYSED, suffix="mp4"),
    "a header that claims years": Bomb(
        _with_false_header(b"\x44\x89\x88", 3, struct.pack(">d", 1e12)), REFUSED, "longer than 12 hours"
    ),
    "a size that changes": Bomb(_changing_size, ANALYSED),
    "audio of a billion samples a second": Bomb(
        _patched(
            (8000).to_bytes(4, "little") + (8000).to_bytes(4, "little"),
            (2_000_000_000).to_bytes(4, "little") * 2,
            *(*_SECOND, "-f", "lavfi", "-i", "sine=sample_rate=8000:duration=1", "-c:v", "mjpeg"),
            *("-pix_fmt", "yuvj420p", "-c:a", "pcm_u8"),
        ),
        REFUSED,
        "2000000000 samples per second",
        suffix="avi",
    ),
    "nothing": Bomb(_written(b""), REFUSED, "cannot be read"),
    "noise": Bomb(_written(bytes((i * i * 31 + i) % 251 for i in range(100_000))), REFUSED, "cannot be read"),
}
