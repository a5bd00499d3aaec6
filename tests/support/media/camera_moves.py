"""Videos of a camera that moves over a still. Every pose is known, and so the truth, to small parts of a pixel."""

import math
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

SIZE = (640, 360)
_STILL_SIZE = (1280, 720)  # what is seen at scale 1 is half as wide and half as high
_SHAKE_HZ = (1.1, 1.9, 3.1, 4.7)  # of a hand that holds a camera
_PASSER_SHARE = 0.25  # of the frame's width and of its height, as half axes


@dataclass(frozen=True)
class Pose:
    """Where the camera looks, from the still's middle, in widths and heights of the frame at ``scale`` 1; at 2 it is
    twice as near."""

    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    degrees: float = 0.0


@dataclass(frozen=True)
class Film:
    """How the camera moves, by seconds, and what else makes it hard to see."""

    pose: Callable[[float], Pose]
    rate: float = 25.0
    duration_seconds: float = 2.0
    size: tuple[int, int] = SIZE
    passer: bool = False
    """Something large goes through the frame, against the camera."""
    noise_levels: float = 0.0
    crf: int = 20
    times: tuple[float, ...] = ()
    """When each frame is shown, where the rate is not constant."""

    @property
    def frame_seconds(self) -> list[float]:
        return list(self.times) or [i / self.rate for i in range(round(self.duration_seconds * self.rate))]


def steady() -> Callable[[float], Pose]:
    return lambda _seconds: Pose()


def pan(percent_per_second: float) -> Callable[[float], Pose]:
    """To the right, to the left where it is negative; of the frame's width."""
    return lambda seconds: Pose(x=percent_per_second / 100 * (seconds - 1))


def tilt(percent_per_second: float) -> Callable[[float], Pose]:
    """Down, up where it is negative; of the frame's height."""
    return lambda seconds: Pose(y=percent_per_second / 100 * (seconds - 1))


def zoom(percent_per_second: float) -> Callable[[float], Pose]:
    """In, out where it is negative; the logarithm of the scale grows evenly."""
    return lambda seconds: Pose(scale=1.3 * math.exp(percent_per_second / 100 * (seconds - 1)))


def shake(percent: float, *, pan_percent_per_second: float = 0.0) -> Callable[[float], Pose]:
    """A camera in somebody's hand, to and fro by so much of the frame's width; on top of a pan, if it is given."""

    def pose(seconds: float) -> Pose:
        x, y, turn = (
            sum(math.sin(2 * math.pi * hz * seconds * way + 7 * hz) for hz in _SHAKE_HZ) / len(_SHAKE_HZ)
            for way in (1.0, 0.87, 0.61)
        )
        moved = pan_percent_per_second / 100 * (seconds - 1)
        return Pose(x=percent / 100 * x + moved, y=percent / 100 * y * SIZE[0] / SIZE[1], degrees=percent * turn * 0.2)

    return pose


def still(footage: Path, seconds: float = 0.0) -> Pixels:
    """A photograph, or one frame of a video; what is not 16:9 is cut off, the rest enlarged."""
    if footage.suffix == ".jpg":
        return _enlarged(np.asarray(cv2.imread(str(footage)), dtype=np.uint8))
    command = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-ss", str(seconds), "-i", str(footage)),
        *("-frames:v", "1", "-f", "image2pipe", "-c:v", "bmp", "-"),
    ]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    return _enlarged(np.asarray(cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8))


def plain(colour: tuple[int, int, int]) -> Pixels:
    """A still of one colour, BGR."""
    return np.full((_STILL_SIZE[1], _STILL_SIZE[0], 3), colour, dtype=np.uint8)


def pictures(background: Pixels, film: Film, *, passing: Pixels | None = None) -> Iterator[Pixels]:
    """The frames of the video, BGR; beyond its edges the still goes on as in a mirror."""
    noise = np.random.default_rng(5)
    for seconds in film.frame_seconds:
        picture = _seen(background, film.pose(seconds), film.size)
        if film.passer:
            _pass(picture, background[::-1] if passing is None else passing, seconds / film.duration_seconds)
        if film.noise_levels:
            grain = noise.normal(0, film.noise_levels, picture.shape)
            picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
        yield picture


def write(path: Path, background: Pixels, film: Film) -> Path:
    """The video as H.264 at ``path``, unless it is there."""
    if not path.exists():
        unfinished = path.with_name(f".{threading.get_native_id()}-{path.name}")
        encode(unfinished, pictures(background, film), film)
        unfinished.rename(path)
    return path


def _enlarged(picture: Pixels) -> Pixels:
    height, width = picture.shape[:2]
    kept = min(height, width * _STILL_SIZE[1] // _STILL_SIZE[0])
    top = (height - kept) // 2
    return np.asarray(cv2.resize(picture[top : top + kept], _STILL_SIZE, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def encode(path: Path, frames: Iterator[Pixels], film: Film) -> None:
    """Frames of the video's size, at its rate, as H.264."""
    command = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"),
        *("-s", f"{film.size[0]}x{film.size[1]}", "-r", str(film.rate), "-i", "-"),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", str(film.crf), "-pix_fmt", "yuv420p", *_timing(film)),
    ]
    data = b"".join(frame.tobytes() for frame in frames)
    subprocess.run([*command, str(path)], input=data, check=True, capture_output=True)


def _timing(film: Film) -> list[str]:
    """Options that give each frame its own time."""
    if not film.times:
        return []
    ticks = "+".join(f"{round(seconds * 12800)}*eq(N\\,{i})" for i, seconds in enumerate(film.times))
    return ["-vf", f"settb=1/12800,setpts={ticks}", "-fps_mode", "vfr", "-enc_time_base", "1/12800"]


def _seen(background: Pixels, pose: Pose, size: tuple[int, int]) -> Pixels:
    """The still from this pose."""
    height, width = background.shape[:2]
    scale = width / 2 / size[0] / pose.scale  # of the still's pixels to the frame's
    turn = math.radians(pose.degrees)
    across, down = scale * math.cos(turn), scale * math.sin(turn)
    middle = (width - 1) / 2 + pose.x * width / 2, (height - 1) / 2 + pose.y * height / 2
    corner = (size[0] - 1) / 2, (size[1] - 1) / 2
    matrix = np.array(
        [
            [across, -down, middle[0] - across * corner[0] + down * corner[1]],
            [down, across, middle[1] - down * corner[0] - across * corner[1]],
        ]
    )
    return _warped(background, matrix, size, cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)


def _pass(picture: Pixels, passing: Pixels, fraction: float) -> None:
    """Something round goes from the right to the left, a little up and down."""
    height, width = picture.shape[:2]
    middle = round(width * (1.1 - 1.2 * fraction)), round(height * (0.5 + 0.1 * math.sin(8 * fraction)))
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, middle, (round(width * _PASSER_SHARE), round(height * _PASSER_SHARE)), 0, 0, 360, 255, -1)
    shift = np.array([[1.0, 0.0, middle[0] - width / 2], [0.0, 1.0, middle[1] - height / 2]])
    seen = np.asarray(cv2.resize(passing, (width, height)), dtype=np.uint8)
    moved = _warped(seen, shift, (width, height), cv2.INTER_LINEAR)
    cv2.copyTo(moved, mask, picture)


def _warped(picture: Pixels, matrix: NDArray[np.float64], size: tuple[int, int], flags: int) -> Pixels:
    warped = cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, dtype=np.uint8)
