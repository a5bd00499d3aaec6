"""Videos joined from real takes (see ``tests/footage``), with what is true of them to the frame."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Effect = Callable[[int, Pixels], Pixels]
Kind = Literal["cut", "fade", "dissolve"]
Colour = int | tuple[int, int, int]
Camera = Literal["still", "pan", "whip", "shake", "zoom"]

FOOTAGE = Path(__file__).parents[2] / "footage"
RATE = 24
SIZE = (640, 360)
TAKES = {  # frames in each
    **{"meadow": 184, "stream": 91, "bird": 76, "hole": 65, "burrow": 228, "bunny": 146, "rodents": 73},
    **{"lawn": 34, "tree": 86, "picnic": 59, "gaze": 55, "cockatoo": 280},
}
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket", "china", "flower")
_PAN = (0.2, 0.5, 0.8, 0.5)  # of the photograph's width and height, from and to
_QUICK_SHAKE = ((1.7, 0.016), (2.3, 0.014))  # radians a frame and part of the width, across and down


class Take(Protocol):
    """What can be joined: one scene without any boundary."""

    def pictures(self) -> list[Pixels]:
        """BGR, all of ``SIZE``."""


@dataclass(frozen=True)
class Piece:
    """So many frames of one take, or of a photograph under a moving camera; ``effect`` changes each frame."""

    name: str
    frames: int
    first: int = 0
    camera: Camera = "still"
    effect: Effect | None = None

    def pictures(self) -> list[Pixels]:
        """BGR, all of ``SIZE``."""
        shown = self._photographed() if self.name in PHOTOGRAPHS else self._filmed()
        return [self.effect(place, one) if self.effect else one for place, one in enumerate(shown)]

    def _filmed(self) -> list[Pixels]:
        assert self.first + self.frames <= TAKES[self.name], self
        trim = f"trim=start_frame={self.first}:end_frame={self.first + self.frames},setpts=PTS-STARTPTS"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(FOOTAGE / f"{self.name}.mp4")]
        command += ["-vf", trim, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
        data = subprocess.run(command, check=True, capture_output=True).stdout
        return list(np.frombuffer(data, np.uint8).reshape(self.frames, SIZE[1], SIZE[0], 3))

    def _photographed(self) -> list[Pixels]:
        photograph = _photograph(self.name)
        return [_seen(photograph, *_aim(self.camera, place, self.frames)) for place in range(self.frames)]


@dataclass(frozen=True)
class Join:
    """How one piece follows another: a fade empties, holds and fills; a dissolve mixes both for ``ramp`` frames.

    ``curve`` is how a fade does so: ``even``; ``overexposed``, as a lens that is opened until all is white; or
    ``crossed``, as ffmpeg's xfade: the new scene appears while the old one still goes, and both take ``ramp`` frames.
    """

    kind: Kind = "cut"
    ramp: int = 0
    hold: int = 0
    colour: Colour = 0  # a level, or BGR
    curve: Literal["even", "overexposed", "crossed"] = "even"


@dataclass(frozen=True)
class Truth:
    """A boundary. The change begins with the frame at ``first`` and is complete with that at ``last`` (seconds)."""

    kind: Kind
    first: float
    last: float

    @property
    def seconds(self) -> float:
        """How long it takes: 0 for a cut."""
        return 0.0 if self.kind == "cut" else self.last - self.first


@dataclass(frozen=True)
class Film:
    path: Path
    truths: tuple[Truth, ...]
    frames: int
    rate: float


@dataclass(frozen=True)
class Finish:
    """What is done to the joined pictures: their rate, size and quality, how often each is repeated, and an effect."""

    rate: float = RATE
    crf: int = 23
    size: tuple[int, int] = SIZE
    repeats: int = 1  # of each picture, at so many times the rate
    effect: Effect | None = None


def film(path: Path, pieces: Sequence[Take], joins: list[Join] | Join, *, rate: float = RATE, crf: int = 23) -> Film:
    """The pieces joined one after the other, as H.264 of that quality."""
    return finished_film(path, pieces, joins, Finish(rate, crf))


def repeated(path: Path, name: str, seconds: float, *coding: str) -> Path:
    """A take shown again and again for so long, 640 wide: each time the camera is where it was at first, and who is
    before it is not."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-nostdin", "-stream_loop", "-1"]
    command += ["-i", str(FOOTAGE / f"{name}.mp4"), "-an", "-t", str(seconds), "-vf", "scale=640:-2"]
    subprocess.run([*command, *coding, str(path)], check=True, capture_output=True)
    return path


def finished_film(path: Path, pieces: Sequence[Take], joins: list[Join] | Join, finish: Finish) -> Film:
    joins = [joins] * (len(pieces) - 1) if isinstance(joins, Join) else joins
    truths: list[Truth] = []
    rate = finish.rate * finish.repeats
    with _encoder(path, rate, finish.crf, finish.size) as encoder:
        assert encoder.stdin is not None
        frames = 0
        for place, picture in enumerate(_joined(pieces, joins, finish.rate, truths)):
            shown = finish.effect(place, picture) if finish.effect else picture
            if shown.shape[1::-1] != finish.size:
                shown = np.asarray(cv2.resize(shown, finish.size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
            for _ in range(finish.repeats):
                encoder.stdin.write(np.ascontiguousarray(shown).data)
            frames += finish.repeats
        encoder.stdin.close()
    assert encoder.returncode == 0
    return Film(path, tuple(truths), frames, rate)


def dimmed(level: float) -> Effect:
    """As dark as ``level`` says, with the noise of a sensor (its deviation 1.5 levels)."""

    def effect(place: int, picture: Pixels) -> Pixels:
        noise = np.random.default_rng(place).normal(0, 1.5, picture.shape[:2])[:, :, None]
        return np.asarray(np.clip(picture * level + noise, 0, 255), dtype=np.uint8)

    return effect


def flash(at: int, frames: int, *, strength: float = 0.9) -> Effect:
    """So many frames nearly white."""

    def effect(place: int, picture: Pixels) -> Pixels:
        return _mixed(picture, 255, strength) if at <= place < at + frames else picture

    return effect


def lit(at: int, ramp: int, *, gain: float) -> Effect:
    """The light goes from 1 to ``gain`` within ``ramp`` frames; 1 frame is a lamp that is switched."""

    def effect(place: int, picture: Pixels) -> Pixels:
        share = min(max((place - at + 1) / ramp, 0.0), 1.0)
        return np.asarray(np.clip(picture * (1 + (gain - 1) * share), 0, 255), dtype=np.uint8)

    return effect


def titled(at: int, ramp: int) -> Effect:
    """Large white letters that appear within so many frames and stay."""

    def effect(place: int, picture: Pixels) -> Pixels:
        share = min(max((place - at + 1) / ramp, 0.0), 1.0)
        page = picture.copy()
        for line, text in enumerate(("SUMMER", "AT THE LAKE")):
            cv2.putText(page, text, (60, 160 + 90 * line), cv2.FONT_HERSHEY_DUPLEX, 2.6, (255, 255, 255), 12)
        return np.asarray(cv2.addWeighted(picture, 1 - share, page, share, 0), dtype=np.uint8)

    return effect


def grey(_place: int, picture: Pixels) -> Pixels:
    """Black and white."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), dtype=np.uint8)


def _joined(pieces: Sequence[Take], joins: list[Join], rate: float, truths: list[Truth]) -> Iterator[Pixels]:
    at, tail = 0, pieces[0].pictures()
    for piece, join in zip(pieces[1:], joins, strict=True):
        head = piece.pictures()
        keep = len(tail) - join.ramp
        between = _between(tail[keep:], head[: join.ramp], join)
        first = at + keep
        last = first + max(len(between), 0)
        truths.append(Truth(join.kind, first / rate, last / rate))
        yield from tail[:keep]
        yield from between
        at, tail = last, head[join.ramp :]
    yield from tail


def _between(out: list[Pixels], back: list[Pixels], join: Join) -> list[Pixels]:
    if join.kind == "cut":
        return []
    shares = [(place + 1) / (join.ramp + 1) for place in range(join.ramp)]
    if join.kind == "dissolve":
        mixes = zip(out, back, shares, strict=True)
        return [np.asarray(cv2.addWeighted(a, 1 - s, b, s, 0), dtype=np.uint8) for a, b, s in mixes]
    if join.curve == "crossed":
        return [_crossed(a, b, s, join.colour) for a, b, s in zip(out, back, shares, strict=True)]
    tinted = _overexposed if join.curve == "overexposed" else _mixed
    blank = _blank(out[0], join.colour)
    emptied = [tinted(one, join.colour, share) for one, share in zip(out, shares, strict=True)]
    filled = [tinted(one, join.colour, 1 - share) for one, share in zip(back, shares, strict=True)]
    return [*emptied, *[blank] * join.hold, *filled]


def _mixed(picture: Pixels, colour: Colour, share: float) -> Pixels:
    return np.asarray(cv2.addWeighted(picture, 1 - share, _blank(picture, colour), share, 0), dtype=np.uint8)


def _overexposed(picture: Pixels, _colour: Colour, share: float) -> Pixels:
    return np.asarray(cv2.convertScaleAbs(picture, alpha=1 + 6 * share**2, beta=255 * share**2), dtype=np.uint8)


def _crossed(one: Pixels, other: Pixels, share: float, colour: Colour) -> Pixels:
    """The formula of xfade's ``fadewhite`` and ``fadeblack``."""
    going, coming = _mixed(one, colour, _smooth(share / 0.2)), _mixed(other, colour, 1 - _smooth(share / 0.8))
    return np.asarray(cv2.addWeighted(going, 1 - share, coming, share, 0), dtype=np.uint8)


def _smooth(share: float) -> float:
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


def _blank(picture: Pixels, colour: Colour) -> Pixels:
    return np.full_like(picture, colour)


@cache
def _photograph(name: str) -> Pixels:
    """Enlarged so that a camera has room to move over it."""
    picture = cv2.imread(str(FOOTAGE / f"{name}.jpg"))
    assert picture is not None
    scale = max(1.8 * SIZE[0] / picture.shape[1], 1.8 * SIZE[1] / picture.shape[0])
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _aim(camera: Camera, place: int, frames: int) -> tuple[float, float, float]:
    """Where the camera looks, in parts of the photograph, and how close."""
    share = place / max(frames - 1, 1)
    across, down, zoom = 0.5, 0.5, 1.0
    if camera == "pan":
        across = _PAN[0] + (_PAN[2] - _PAN[0]) * share
    elif camera == "whip":  # rests, moves within 8 frames, rests
        across = _PAN[0] + (_PAN[2] - _PAN[0]) * float(np.clip((place - frames // 2 + 4) / 8, 0, 1))
    elif camera == "zoom":
        zoom = 1.6 ** (2 * share - 0.5)
    elif camera == "shake":
        (speed, far), (speed_down, far_down) = _QUICK_SHAKE
        across += far * np.sin(place * speed)
        down += far_down * np.sin(place * speed_down)
    return float(across), float(down), zoom


def _seen(photograph: Pixels, across: float, down: float, zoom: float) -> Pixels:
    height, width = photograph.shape[:2]
    half = SIZE[0] / 2 / zoom, SIZE[1] / 2 / zoom
    x = float(np.clip(across * width, half[0], width - half[0]))
    y = float(np.clip(down * height, half[1], height - half[1]))
    turn = np.array([[1 / zoom, 0, x - half[0]], [0, 1 / zoom, y - half[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(photograph, turn, SIZE, flags=flags), dtype=np.uint8)


def _encoder(path: Path, rate: float, crf: int, size: tuple[int, int]) -> "subprocess.Popen[bytes]":
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"]
    command += ["-s", f"{size[0]}x{size[1]}", "-r", str(rate), "-i", "-", "-c:v", "libx264", "-preset", "veryfast"]
    command += ["-crf", str(crf), "-pix_fmt", "yuv420p", "-threads", "1", str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE)
