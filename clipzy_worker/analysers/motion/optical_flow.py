"""Optical flow between two grey frames: its mean, and the global motion."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Pixels
from clipzy_worker.analysers.motion.similarity_transform import Plane, Reals, Similarity, similarity

DenseFlow = NDArray[np.float32]
"""(height, width, 2): the displacement of each pixel to the right and down, in pixels."""

# The dense search needs the minimum; more than the maximum is not worth its cost.
_MIN_SIDE, _MAX_SIDE = 48, 320
# The dense search works at a quarter of the resolution.
_SAMPLING_STEP = 4
# One point in each cell is tracked.
_CELL_PIXELS = 16
_CORNER_PIXELS = 5
# The smaller eigenvalue of a corner whose weight is half of the maximum.
_HALF_WEIGHT_EIGENVALUE = 1e-4
_MIN_CORNER_WEIGHT = 0.3
# With fewer tracked points per cell nothing is known of the camera.
_MIN_TRACKED_RATIO = 0.06
_TRACKING: dict[str, Any] = {
    "winSize": (13, 13),
    "maxLevel": 0,
    "criteria": (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, 0.02),
    "flags": cv2.OPTFLOW_USE_INITIAL_FLOW,
}
_TOLERANCE_PIXELS = 0.15
_TOLERANCE_RATIO = 0.08  # relative to the motion


class OpticalFlow:
    """The flow between frames of one size."""

    def __init__(self, width: int, height: int) -> None:
        self._size = _limited(width), _limited(height)
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._unit = np.array([1 / self._size[0], height / width / self._size[1]], dtype=np.float32)
        self._diagonal = float(np.hypot(1.0, height / width))  # in widths
        self._middle = (np.array(self._size, dtype=np.float32) - 1) / 2
        self._cells = _cells(self._size[0] // 2, self._size[1] // 2, _CELL_PIXELS // 2)
        self._each = np.arange(len(self._cells))

    def resized(self, luma: Pixels) -> Pixels:
        """The frame at the size that the other methods expect."""
        if (luma.shape[1], luma.shape[0]) == self._size:
            return luma
        return np.asarray(cv2.resize(luma, self._size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)

    def dense(self, before: Pixels, after: Pixels) -> DenseFlow:
        """By dense inverse search (Kroeger et al., ECCV 2016)."""
        # Not reusing an array: its content would be the initial estimate.
        flow = self._search.calc(before, after, None)  # type: ignore[call-overload]
        return np.asarray(flow, dtype=np.float32)

    def mean(self, flow: DenseFlow) -> float:
        """Mean length of the flow, in diagonals of the frame."""
        sampled = self._plane(flow[_SAMPLING_STEP // 2 :: _SAMPLING_STEP, _SAMPLING_STEP // 2 :: _SAMPLING_STEP])
        return float(np.abs(sampled).sum()) / (len(sampled) * self._diagonal)

    def global_motion(self, before: Pixels, after: Pixels, flow: DenseFlow) -> Similarity | None:
        """The motion of the whole frame; ``None`` if too few points can be tracked, or their motions do not agree.

        Corners (Shi and Tomasi 1994) are tracked to parts of a pixel (Lucas and Kanade 1981), starting from ``flow``,
        since the dense search smooths across objects that move differently.
        """
        points, weights = self._corners(before)
        if len(points) < _MIN_TRACKED_RATIO * len(self._cells):
            return None
        guess = points + flow[points[:, 1].astype(int), points[:, 0].astype(int)]
        found, is_found, _error = cv2.calcOpticalFlowPyrLK(before, after, points, guess, **_TRACKING)
        kept = is_found.ravel() == 1
        if np.count_nonzero(kept) < len(points) / 2:
            return None
        vectors = self._plane((found - points)[kept])
        motion = float(np.sort(np.abs(vectors))[len(vectors) // 2])
        tolerance = _TOLERANCE_PIXELS / self._size[0] + _TOLERANCE_RATIO * motion
        return similarity(self._plane((points - self._middle)[kept]), vectors, weights[kept], tolerance)

    def _corners(self, luma: Pixels) -> tuple[NDArray[np.float32], Reals]:
        """The best point of each cell, if any, as (x, y) in pixels, and its weight, 0 to 1."""
        half = self._size[0] // 2, self._size[1] // 2
        smaller = cv2.resize(luma, half, interpolation=cv2.INTER_AREA)
        values = np.asarray(cv2.cornerMinEigenVal(smaller, _CORNER_PIXELS), dtype=np.float32).ravel()
        best = self._cells[self._each, values[self._cells].argmax(axis=1)]
        value = np.maximum(values[best], 0)
        weights = value / (value + _HALF_WEIGHT_EIGENVALUE)
        strong = weights > _MIN_CORNER_WEIGHT
        rows, columns = np.divmod(best[strong], half[0])
        return np.stack([2 * columns + 0.5, 2 * rows + 0.5], axis=1).astype(np.float32), weights[strong]

    def _plane(self, pixels: NDArray[Any]) -> Plane:
        return np.ascontiguousarray(pixels * self._unit).view(np.complex64).ravel()


def _limited(side: int) -> int:
    return min(max(side, _MIN_SIDE), _MAX_SIDE)


def _cells(width: int, height: int, side: int) -> NDArray[np.int_]:
    """The flat indexes of the pixels of each cell, one row per cell."""
    rows, columns = height // side, width // side
    indexes = np.arange(width * height).reshape(height, width)[: rows * side, : columns * side]
    return indexes.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(rows * columns, side * side)
