"""Files whose frames are turned, mirrored or change their size, made by ffmpeg."""

import struct
from pathlib import Path

import cv2
import numpy as np

from clipzy_worker.analysers.base import Pixels
from tests.support.media.clips import ffmpeg

ONE = 1 << 16
# By name the numbers a, b, c, d of a display matrix: a point is moved to (ax + cy, bx + dy), and y grows downwards.
ORIENTATIONS = {
    "upright": (1, 0, 0, 1),
    "turned to the right": (0, 1, -1, 0),
    "upside down": (-1, 0, 0, -1),
    "turned to the left": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "flipped": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transposed the other way": (0, -1, -1, 0),
}
DEGENERATE = {"zero": (0, 0, 0, 0), "a line": (1, 0, 1, 0), "another line": (0, 1, 0, 1), "a column": (1, 0, 0, 0)}
# No two of its quarters are alike, in any orientation.
CHART = "color=navy:size={size}:rate=25:duration={seconds}"
CHART += ",drawbox=x=0:y=0:w=iw/2:h=ih/2:color=red:t=fill,drawbox=x=iw/2:y=0:w=iw/2:h=ih/2:color=lime:t=fill"
CHART += ",drawbox=x=0:y=ih/2:w=iw/4:h=ih/2:color=white:t=fill,format=yuv420p"


def chart(path: Path, *coding: str, size: str = "320x180", seconds: float = 0.4) -> Path:
    """A still of four colours, at this path."""
    source = CHART.format(size=size, seconds=seconds)
    ffmpeg("-f", "lavfi", "-i", source, *(coding or ("-c:v", "libx264", "-preset", "ultrafast")), str(path))
    return path


def with_matrix(path: Path, numbers: tuple[float, float, float, float]) -> None:
    """Write the numbers a, b, c, d into the first track header of an mp4 or mov file."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44  # of a version 0 box
    a, b, c, d = (round(number * ONE) for number in numbers)
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def as_ffmpeg_shows(path: Path, *, seconds: float = 0) -> Pixels:
    """The frame at this time as ``ffmpeg`` displays it, turned by itself."""
    shown = path.with_suffix(".png")
    ffmpeg("-ss", str(seconds), "-i", str(path), "-frames:v", "1", str(shown))
    return picture(shown)


def picture(path: Path) -> Pixels:
    return np.asarray(cv2.imread(str(path)), dtype=np.uint8)


def joined(parts: list[Path], path: Path) -> Path:
    """One file of all these without coding anew; every part has its own parameters in its stream."""
    listed = path.with_suffix(".txt")
    listed.write_text("".join(f"file '{part}'\n" for part in parts))
    ffmpeg("-f", "concat", "-safe", "0", "-i", str(listed), "-c", "copy", str(path))
    return path
