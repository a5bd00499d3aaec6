"""The waveform as an image, with the loudness curve over it."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.audio.loudness import FLOOR_LUFS, Powers
from clipzy_worker.analysers.base import Pixels

WIDTH, HEIGHT = 1200, 200

# Drawn larger and scaled down, for smooth edges.
_OVERSAMPLING = 2
_BACKGROUND_BGR, _PEAKS_BGR, _MEANS_BGR, _LOUDNESS_BGR = (30, 24, 20), (150, 110, 60), (200, 160, 95), (70, 190, 255)
_GRID_BGR, _TEXT_BGR = (66, 56, 50), (170, 160, 150)
_TOP_LUFS, _BOTTOM_LUFS = 0.0, -60.0
_GRID_LUFS = (-12, -24, -36, -48)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw(points: NDArray[np.int8], loudness: Powers) -> Pixels:
    """BGR, 1200x200. ``points`` are minima and maxima (128 is full scale), ``loudness`` is in LUFS, both in even steps
    from the beginning of the video to its end. The scale of the loudness is at the right."""
    image = np.full((HEIGHT * _OVERSAMPLING, WIDTH * _OVERSAMPLING, 3), _BACKGROUND_BGR, np.uint8)
    _draw_waveform(image, points)
    for level in _GRID_LUFS:
        _draw_scale(image, level)
    _draw_loudness(image, loudness)
    return np.asarray(cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def _draw_waveform(image: Pixels, points: NDArray[np.int8]) -> None:
    """For each column the range of its points, and within it half of their mean range."""
    if not len(points):
        return
    width = image.shape[1]
    starts = np.arange(width) * len(points) // width
    counts = np.maximum(np.diff(starts, append=len(points)), 1)[:, None]
    lowest, highest = np.minimum.reduceat(points[:, 0], starts), np.maximum.reduceat(points[:, 1], starts)
    means = np.add.reduceat(points.astype(np.int32), starts, axis=0) / counts / 2
    _fill_columns(image, lowest, highest, _PEAKS_BGR)
    _fill_columns(image, means[:, 0], means[:, 1], _MEANS_BGR)


def _fill_columns(image: Pixels, low: NDArray[Any], high: NDArray[Any], color: tuple[int, int, int]) -> None:
    height = len(image)
    level = (height / 2 - np.arange(height)[:, None]) / (height / 2) * 128
    half_row = 128 / height
    image[(level >= low - half_row) & (level <= high + half_row)] = color


def _draw_scale(image: Pixels, level: int) -> None:
    height, width = image.shape[:2]
    y = _row(np.array([level]), height)[0]
    cv2.line(image, (0, y), (width, y), _GRID_BGR, 1)
    cv2.putText(image, f"{level}", (width - 62, y - 6), _FONT, 0.7, _TEXT_BGR, 1, cv2.LINE_AA)


def _draw_loudness(image: Pixels, loudness: Powers) -> None:
    """One line for each section that is loud enough to be drawn."""
    height, width = image.shape[:2]
    x = (np.arange(len(loudness)) + 1) / max(len(loudness), 1) * (width - 1)
    line = np.stack([np.round(x).astype(np.int32), _row(loudness, height)], axis=1)
    edges = np.flatnonzero(np.diff(loudness > max(FLOOR_LUFS, _BOTTOM_LUFS), prepend=False, append=False))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        cv2.polylines(image, [line[begin:end]], False, _LOUDNESS_BGR, 2 * _OVERSAMPLING - 1, cv2.LINE_AA)


def _row(levels: Powers, height: int) -> NDArray[np.int32]:
    part = (_TOP_LUFS - levels) / (_TOP_LUFS - _BOTTOM_LUFS)
    return np.round(np.clip(part, 0, 1) * (height - 1)).astype(np.int32)
