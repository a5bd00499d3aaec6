"""Takes as a phone, a car's camera or a bad connection makes them: one scene each, and much that looks like a boundary.

A camera of our own moves over photographs (see ``tests/footage``), so that it is known that nothing is cut.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.support.media import camera_moves
from tests.support.media.camera_moves import Pose
from tests.support.media.joined_films import FOOTAGE, SIZE, Effect, Pixels

_SHUTTER = 0.5  # the part of a frame's time during which it is exposed
_EXPOSURES = 3
_SWAY_HZ = (0.7, 1.3, 2.9, 5.3)
_STRIP_HEIGHT = 720


@dataclass(frozen=True)
class Jolt:
    """The camera is thrown by parts of the frame and by degrees, within ``lasts`` seconds; it ``returns`` or stays."""

    at: float
    across: float
    down: float
    degrees: float = 0.0
    lasts: float = 0.06
    returns: bool = True

    def share(self, seconds: float) -> float:
        risen = min(max((seconds - self.at) / self.lasts, 0.0), 1.0)
        if not self.returns:
            return risen
        return risen - min(max((seconds - self.at - 2 * self.lasts) / (3 * self.lasts), 0.0), 1.0)


@dataclass(frozen=True)
class Handheld:
    """A camera in a hand over a photograph; speeds in frames (widths, heights) a second."""

    name: str
    frames: int
    rate: float
    seed: int
    across: float = 0.0
    down: float = 0.0
    sway: float = 0.01
    zoom: float = 0.0  # of the logarithm of the scale, a second
    jolts: Sequence[Jolt] = ()
    effects: Sequence[Effect] = ()

    def pose(self, seconds: float) -> Pose:
        dice = random.Random(self.seed)
        phases = [[dice.uniform(0, 2 * math.pi) for _ in _SWAY_HZ] for _ in range(3)]
        x, y, turn = (
            sum(math.sin(2 * math.pi * hz * seconds + phase) for hz, phase in zip(_SWAY_HZ, each, strict=True)) / 2
            for each in phases
        )
        middle = self.frames / self.rate / 2
        thrown = [(jolt, jolt.share(seconds)) for jolt in self.jolts]
        return Pose(
            x=self.across * (seconds - middle) + self.sway * x + sum(jolt.across * share for jolt, share in thrown),
            y=self.down * (seconds - middle) + self.sway * y + sum(jolt.down * share for jolt, share in thrown),
            scale=1.25 * math.exp(self.zoom * (seconds - middle)),
            degrees=60 * self.sway * turn + sum(jolt.degrees * share for jolt, share in thrown),
        )

    def pictures(self) -> list[Pixels]:
        exposures = [
            (place + _SHUTTER * part / _EXPOSURES) / self.rate
            for place in range(self.frames)
            for part in range(_EXPOSURES)
        ]
        moved = camera_moves.pictures(_still(self.name), camera_moves.Film(self.pose, times=tuple(exposures)))
        found = []
        for place in range(self.frames):
            picture = _mean([next(moved) for _ in range(_EXPOSURES)])
            for effect in self.effects:
                picture = effect(place, picture)
            found.append(picture)
        return found


@dataclass(frozen=True)
class Drive:
    """Sideways out of a car: several photographs become one long roadside, with poles and hedges before it."""

    names: Sequence[str]
    frames: int
    rate: float
    seed: int
    speed: float = 0.4  # widths a second; what is near goes past three times as fast
    near: int = 6
    effects: Sequence[Effect] = ()

    def pictures(self) -> list[Pixels]:
        dice = random.Random(self.seed)
        road = _roadside(tuple(self.names))
        scale = _STRIP_HEIGHT * 0.7 / SIZE[1]
        reach = self.speed * self.frames / self.rate + 1
        hedge = _still(dice.choice(list(self.names)))[:, : _STRIP_HEIGHT // 2] // 3
        near = [
            (dice.uniform(0.5, 3 * reach), dice.uniform(0.03, 0.3), dice.uniform(0.0, 0.6)) for _ in range(self.near)
        ]
        found = []
        for place in range(self.frames):
            parts = []
            for part in range(_EXPOSURES):
                seconds = (place + _SHUTTER * part / _EXPOSURES) / self.rate
                left = self.speed * seconds * SIZE[0] * scale
                bounce = 60 + 12 * math.sin(9 * seconds + self.seed) + 6 * math.sin(23 * seconds)
                view = np.array([[scale, 0, left % road.shape[1]], [0, scale, bounce]])
                flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
                picture = cv2.warpAffine(road, view, SIZE, flags=flags, borderMode=cv2.BORDER_WRAP)
                parts.append(_passed(np.asarray(picture, dtype=np.uint8), near, hedge, 3 * self.speed * seconds))
            picture = _mean(parts)
            for effect in self.effects:
                picture = effect(place, picture)
            found.append(picture)
        return found


@dataclass(frozen=True)
class Ramp:
    """Something comes and goes: from 0 at ``at`` to 1 within ``rise`` frames, holds, and goes again unless it stays."""

    at: int
    rise: int
    hold: int = 10_000
    fall: int = 1

    def share(self, place: int) -> float:
        risen = min(max((place - self.at + 1) / self.rise, 0.0), 1.0)
        return risen - min(max((place - self.at - self.rise - self.hold + 1) / self.fall, 0.0), 1.0)


def refocused(ramp: Ramp, *, sigma: float) -> Effect:
    """The lens hunts for its focus."""

    def effect(place: int, picture: Pixels) -> Pixels:
        blur = sigma * ramp.share(place)
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), dtype=np.uint8) if blur > 0.3 else picture

    return effect


def exposed(ramp: Ramp, *, gain: float) -> Effect:
    """The exposure changes, as between indoors and a window."""
    return lambda place, picture: _levels(picture * (1 + (gain - 1) * ramp.share(place)))


def reflected(name: str, ramp: Ramp, *, strength: float, speed: float = 2.0) -> Effect:
    """A reflection of another place in the glass before the camera, which moves across."""

    def effect(place: int, picture: Pixels) -> Pixels:
        still = _still(name)
        left = int(place * speed) % (still.shape[1] - SIZE[0])
        other = still[100 : 100 + SIZE[1], left : left + SIZE[0]]
        return _levels(picture + other * (strength * ramp.share(place)))

    return effect


def glared(ramp: Ramp, *, where: tuple[float, float] = (0.7, 0.3), reach: float = 0.35) -> Effect:
    """The sun in the lens: a soft white spot."""
    across, down = np.meshgrid(np.linspace(0, 1, SIZE[0]), np.linspace(0, 1, SIZE[1]))
    spot = 255 * np.exp(-((across - where[0]) ** 2 + (down - where[1]) ** 2) / reach**2)[:, :, None]
    return lambda place, picture: _levels(picture + spot * ramp.share(place))


def passed(name: str, at: int, frames: int, *, width: float = 0.8) -> Effect:
    """Something near goes through the frame within so many frames."""

    def effect(place: int, picture: Pixels) -> Pixels:
        share = (place - at) / frames
        if not 0 <= share <= 1:
            return picture
        left = round((1 - (1 + width) * share) * SIZE[0])
        shown = picture.copy()
        first, last = max(left, 0), min(left + round(width * SIZE[0]), SIZE[0])
        shown[:, first:last] = _still(name)[200 : 200 + SIZE[1], first - left : last - left] // 2
        return shown

    return effect


def noisy(levels: float) -> Effect:
    def effect(place: int, picture: Pixels) -> Pixels:
        return _levels(picture + np.random.default_rng(place).normal(0, levels, picture.shape))

    return effect


def held(every: int) -> Effect:
    """Only each so-manieth picture is new: the others repeat it, as animation and slow connections do."""
    kept: dict[str, Pixels] = {}

    def effect(place: int, picture: Pixels) -> Pixels:
        if place % every == 0:
            kept["picture"] = picture
        return kept["picture"]

    return effect


Side = Literal["left", "right", "top", "bottom"]


def beside(name: str, side: Side) -> Effect:
    """The video in that half of the frame, and a still in the other."""
    width, height = SIZE
    size = (width // 2, height) if side in ("left", "right") else (width, height // 2)
    spare = {"left": (size[0], 0), "right": (0, 0), "top": (0, size[1]), "bottom": (0, 0)}[side]

    def effect(_place: int, picture: Pixels) -> Pixels:
        page = np.asarray(cv2.resize(_still(name), SIZE, interpolation=cv2.INTER_AREA), dtype=np.uint8).copy()
        left, top = (width - size[0]) // 2, (height - size[1]) // 2
        x, y = size[0] - spare[0] if size[0] < width else 0, size[1] - spare[1] if size[1] < height else 0
        page[y : y + size[1], x : x + size[0]] = picture[top : top + size[1], left : left + size[0]]
        return page

    return effect


def _passed(picture: Pixels, near: list[tuple[float, float, float]], hedge: Pixels, moved: float) -> Pixels:
    for middle, width, top in near:
        left, right = ((middle - moved + way * width / 2) * SIZE[0] for way in (-1, 1))
        first, last = max(round(left), 0), min(round(right), SIZE[0])
        if first < last:
            begin = min(first - round(left), hedge.shape[1] - (last - first))
            rows = slice(round(top * SIZE[1]), SIZE[1])
            picture[rows, first:last] = hedge[rows, max(begin, 0) : max(begin, 0) + last - first]
    return picture


@cache
def _roadside(names: tuple[str, ...]) -> Pixels:
    """The photographs side by side, each blended into the next, and the last into the first."""
    overlap = 240
    stills = [_still(name).astype(np.float32) for name in names]
    weight = np.linspace(0, 1, overlap, dtype=np.float32)[None, :, None]
    parts = []
    for one, other in zip(stills, stills[1:] + stills[:1], strict=True):
        parts += [one[:, overlap:-overlap], one[:, -overlap:] * (1 - weight) + other[:, :overlap] * weight]
    return _levels(np.hstack(parts))


@cache
def _still(name: str) -> Pixels:
    return camera_moves.still(FOOTAGE / f"{name}.jpg")


def _mean(pictures: list[Pixels]) -> Pixels:
    return np.asarray(np.mean(pictures, axis=0, dtype=np.float32), dtype=np.uint8)


def _levels(values: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.clip(values, 0, 255), dtype=np.uint8)
