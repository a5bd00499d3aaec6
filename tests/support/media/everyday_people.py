"""Interviews: one take of somebody who talks before a camera, and the same with some seconds left out (jump cuts)."""

import math
import random
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.support.media import camera_moves
from tests.support.media.camera_moves import Film, Pose
from tests.support.media.everyday_takes import Handheld
from tests.support.media.joined_films import FOOTAGE, SIZE, TAKES, Piece, Pixels

MIN_JUMP_SHARE = 0.4
"""Of the picture that changes at a jump cut. Where less does, somebody may just have moved: that is no truth."""

_CHANGED_LEVELS = 24
_COMPARED_SIZE = (64, 36)
_GESTURES_HZ = (0.4, 0.9, 2.1)
_HEAD = (0.0, -0.42, 0.15, 0.19)  # middle and half axes, of the frame's height at size 1
_SHOULDERS = (0.0, 0.22, 0.36, 0.46)


@dataclass(frozen=True)
class Posture:
    """Where somebody sits or stands: the middle in parts of the frame, the size, and how far they lean."""

    across: float
    down: float
    size: float
    degrees: float


@dataclass(frozen=True)
class Interview:
    """Somebody before ``place``, seen by a camera on a tripod or in a hand, from ``first_second`` of the take on."""

    place: str
    person: str
    posture: Posture
    frames: int
    rate: float
    seed: int
    sway: float = 0.0
    first_second: float = 0.0

    @property
    def name(self) -> str:
        return self.place

    def pictures(self) -> list[Pixels]:
        camera = Handheld(self.place, self.frames, self.rate, self.seed, sway=self.sway)
        times = [self.first_second + place / self.rate for place in range(self.frames)]
        scene = camera_moves.still(FOOTAGE / f"{self.place}.jpg")
        person = camera_moves.still(FOOTAGE / f"{self.person}.jpg")
        poses = [camera.pose(seconds) for seconds in times]
        behind = camera_moves.pictures(scene, Film(camera.pose, times=tuple(times)))
        return [
            self._with_person(picture, person, pose, seconds)
            for picture, pose, seconds in zip(behind, poses, times, strict=True)
        ]

    def _with_person(self, picture: Pixels, person: Pixels, camera: Pose, seconds: float) -> Pixels:
        dice = random.Random(self.seed + 1)
        move = [
            sum(math.sin(2 * math.pi * hz * seconds + dice.uniform(0, 6)) for hz in _GESTURES_HZ) / 3 for _ in range(3)
        ]
        width, height = SIZE
        at = self.posture
        middle = (
            width * (at.across + 0.02 * move[0] - camera.x * camera.scale),
            height * (at.down + 0.02 * move[1] - camera.y * camera.scale),
        )
        turned = at.degrees + 4 * move[2] - camera.degrees
        mask = _outline(middle, at.size, turned)
        scale = 0.5 * at.size
        turn = cv2.getRotationMatrix2D((person.shape[1] / 2, person.shape[0] / 2), -turned, scale)
        turn[:, 2] += np.array(middle) - (person.shape[1] / 2, person.shape[0] / 2)
        seen = cv2.warpAffine(person, turn, SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        mixed = picture * (1 - mask[:, :, None]) + seen * mask[:, :, None]
        return np.asarray(mixed, dtype=np.uint8)


def jumps(take: Interview, dice: random.Random, seconds: list[float]) -> list[Interview]:
    """Parts of one interview between which something is left out, each so far from the one before that it jumps."""
    found = [replace(take, frames=round(seconds[0] * take.rate))]
    for lasts in seconds[1:]:
        before = found[-1]
        tail = replace(before, first_second=before.first_second + (before.frames - 1) / before.rate, frames=1)
        while True:
            first = before.first_second + before.frames / before.rate + dice.uniform(1, 6)
            frames = round(lasts * take.rate)
            after = replace(take, posture=drawn_posture(dice), first_second=first, frames=frames)
            if changed_share(tail.pictures()[0], replace(after, frames=1).pictures()[0]) >= MIN_JUMP_SHARE:
                break
        found.append(after)
    return found


def drawn_posture(dice: random.Random) -> Posture:
    size = dice.uniform(0.8, 1.6)
    return Posture(dice.uniform(0.25, 0.75), dice.uniform(0.5, 0.7), size, dice.uniform(-10, 10))


def filmed_jumps(name: str, dice: random.Random, lengths: list[int]) -> list[Piece]:
    """Parts of one filmed take in any order, as far as there are such that jump."""
    pictures = Piece(name, TAKES[name]).pictures()
    found = [Piece(name, lengths[0], dice.randint(0, TAKES[name] - lengths[0]))]
    for frames in lengths[1:]:
        last = pictures[found[-1].first + found[-1].frames - 1]
        firsts = [
            at
            for at in range(TAKES[name] - frames)
            if min(changed_share(last, pictures[at + later]) for later in (0, frames // 2)) >= MIN_JUMP_SHARE
        ]
        if not firsts:
            break
        found.append(Piece(name, frames, dice.choice(firsts)))
    return found


def changed_share(one: Pixels, other: Pixels) -> float:
    small = [cv2.resize(picture, _COMPARED_SIZE, interpolation=cv2.INTER_AREA) for picture in (one, other)]
    return float((cv2.absdiff(*small).max(axis=2) >= _CHANGED_LEVELS).mean())


def _outline(middle: tuple[float, float], size: float, degrees: float) -> NDArray[np.float32]:
    """Head and shoulders, soft at the edge."""
    mask = np.zeros(SIZE[::-1], np.float32)
    turn = math.radians(degrees)
    for across, down, half_width, half_height in (_HEAD, _SHOULDERS):
        reach = SIZE[1] * size
        x = middle[0] + reach * (across * math.cos(turn) - down * math.sin(turn))
        y = middle[1] + reach * (across * math.sin(turn) + down * math.cos(turn))
        axes = round(reach * half_width), round(reach * half_height)
        cv2.ellipse(mask, (round(x), round(y)), axes, degrees, 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 2), dtype=np.float32)
