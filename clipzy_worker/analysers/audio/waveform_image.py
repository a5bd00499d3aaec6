"""The sound as a picture: its outline, and over it how loud it is."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.audio.loudness import FLOOR_LUFS, Powers
from clipzy_worker.analysers.base import Pixels

WIDTH, HEIGHT = 1200, 200

_SCALE = 2  # drawn larger, then made smaller: smooth edges
_GROUND, _WAVE, _CORE, _LINE = (30, 24, 20), (150, 110, 60), (200, 160, 95), (70, 190, 255)  # BGR
_GRID, _TEXT = (66, 56, 50), (170, 160, 150)
_TOP_LUFS, _BOTTOM_LUFS = 0.0, -60.0
_GRID_LUFS = (-12, -24, -36, -48)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw(points: NDArray[np.int8], loudness: Powers) -> Pixels:
    """BGR, 1200x200. ``points`` are lowest and highest sample (128 is full scale), ``loudness`` is in LUFS, both in
    even steps from the beginning of the film to its end. The scale of the loudness is at the right."""
    picture = np.full((HEIGHT * _SCALE, WIDTH * _SCALE, 3), _GROUND, np.uint8)
    _draw_outline(picture, points)
    for level in _GRID_LUFS:
        _draw_scale(picture, level)
    _draw_loudness(picture, loudness)
    return np.asarray(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def _draw_outline(picture: Pixels, points: NDArray[np.int8]) -> None:
    """For each column the whole reach of its points, and within it half of what they reach in the mean."""
    if not len(points):
        return
    width = picture.shape[1]
    starts = np.arange(width) * len(points) // width
    counts = np.maximum(np.diff(starts, append=len(points)), 1)[:, None]
    lowest, highest = np.minimum.reduceat(points[:, 0], starts), np.maximum.reduceat(points[:, 1], starts)
    means = np.add.reduceat(points.astype(np.int32), starts, axis=0) / counts / 2
    _fill_columns(picture, lowest, highest, _WAVE)
    _fill_columns(picture, means[:, 0], means[:, 1], _CORE)


def _fill_columns(picture: Pixels, low: NDArray[Any], high: NDArray[Any], color: tuple[int, int, int]) -> None:
    height = len(picture)
    level = (height / 2 - np.arange(height)[:, None]) / (height / 2) * 128
    half_row = 128 / height
    picture[(level >= low - half_row) & (level <= high + half_row)] = color


def _draw_scale(picture: Pixels, level: int) -> None:
    height, width = picture.shape[:2]
    y = _row(np.array([level]), height)[0]
    cv2.line(picture, (0, y), (width, y), _GRID, 1)
    cv2.putText(picture, f"{level}", (width - 62, y - 6), _FONT, 0.7, _TEXT, 1, cv2.LINE_AA)


def _draw_loudness(picture: Pixels, loudness: Powers) -> None:
    """One line for each stretch that is loud enough to be drawn."""
    height, width = picture.shape[:2]
    x = (np.arange(len(loudness)) + 1) / max(len(loudness), 1) * (width - 1)
    line = np.stack([np.round(x).astype(np.int32), _row(loudness, height)], axis=1)
    turns = np.flatnonzero(np.diff(loudness > max(FLOOR_LUFS, _BOTTOM_LUFS), prepend=False, append=False))
    for begin, end in zip(turns[::2], turns[1::2], strict=True):
        cv2.polylines(picture, [line[begin:end]], False, _LINE, 2 * _SCALE - 1, cv2.LINE_AA)


def _row(levels: Powers, height: int) -> NDArray[np.int32]:
    part = (_TOP_LUFS - levels) / (_TOP_LUFS - _BOTTOM_LUFS)
    return np.round(np.clip(part, 0, 1) * (height - 1)).astype(np.int32)
