"""Optical flow between two grey pictures: how much moves on the whole, and how the whole moves."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Pixels
from clipzy_worker.analysers.motion.similarity_transform import Plane, Reals, Similarity, similarity

Dense = NDArray[np.float32]  # (height, width, 2): how far each pixel goes to the right and down, in pixels

_SIDES = 48, 320  # what the search needs, and more than it is worth
_SAMPLED = 4  # the search itself works on pictures of a fourth
_CELL = 16  # pixels; one point of each cell is followed
_CORNER = 5
_TEXTURE = 1e-4  # of a corner, as its smaller eigenvalue, that is followed half as well as the best
_FOLLOWED = 0.3  # points of less weight are flat
_MIN_FOLLOWED = 0.06  # of all cells; a picture with less says nothing about the camera
_TRACKING: dict[str, Any] = {
    "winSize": (13, 13),
    "maxLevel": 0,
    "criteria": (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, 0.02),
    "flags": cv2.OPTFLOW_USE_INITIAL_FLOW,
}
_TOLERANCE_PIXELS = 0.15
_TOLERANCE_SHARE = 0.08  # of the movement itself


class Flow:
    """Measures between pictures of one size."""

    def __init__(self, width: int, height: int) -> None:
        self._size = _within(width), _within(height)
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._unit = np.array([1 / self._size[0], height / width / self._size[1]], dtype=np.float32)
        self._diagonal = float(np.hypot(1.0, height / width))  # in widths
        self._middle = (np.array(self._size, dtype=np.float32) - 1) / 2
        self._cells = _cells(self._size[0] // 2, self._size[1] // 2, _CELL // 2)
        self._each = np.arange(len(self._cells))

    def sized(self, picture: Pixels) -> Pixels:
        """The picture as the other methods take it."""
        if (picture.shape[1], picture.shape[0]) == self._size:
            return picture
        return np.asarray(cv2.resize(picture, self._size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)

    def dense(self, before: Pixels, after: Pixels) -> Dense:
        """By dense inverse search (Kroeger et al., ECCV 2016)."""
        # A flow that is given would be where the search begins, whatever is in it.
        flow = self._search.calc(before, after, None)  # type: ignore[call-overload]
        return np.asarray(flow, dtype=np.float32)

    def mean(self, flow: Dense) -> float:
        """Mean length of the flow, in diagonals of the picture."""
        sampled = self._plane(flow[_SAMPLED // 2 :: _SAMPLED, _SAMPLED // 2 :: _SAMPLED])
        return float(np.abs(sampled).sum()) / (len(sampled) * self._diagonal)

    def whole(self, before: Pixels, after: Pixels, flow: Dense) -> Similarity | None:
        """The movement of the whole; ``None`` where too little can be followed, or does not agree.

        Corners (Shi and Tomasi 1994) are followed to parts of a pixel (Lucas and Kanade 1981) from where ``flow``
        says they went, since the dense search smooths over what grows or passes in front.
        """
        points, weights = self._corners(before)
        if len(points) < _MIN_FOLLOWED * len(self._cells):
            return None
        guess = points + flow[points[:, 1].astype(int), points[:, 0].astype(int)]
        found, is_found, _error = cv2.calcOpticalFlowPyrLK(before, after, points, guess, **_TRACKING)
        kept = is_found.ravel() == 1
        if np.count_nonzero(kept) < len(points) / 2:
            return None
        vectors = self._plane((found - points)[kept])
        movement = float(np.sort(np.abs(vectors))[len(vectors) // 2])
        tolerance = _TOLERANCE_PIXELS / self._size[0] + _TOLERANCE_SHARE * movement
        return similarity(self._plane((points - self._middle)[kept]), vectors, weights[kept], tolerance)

    def _corners(self, picture: Pixels) -> tuple[NDArray[np.float32], Reals]:
        """The best point of each cell that has one, as (x, y) in pixels, and how well it can be followed, 0 to 1."""
        half = self._size[0] // 2, self._size[1] // 2
        smaller = cv2.resize(picture, half, interpolation=cv2.INTER_AREA)
        values = np.asarray(cv2.cornerMinEigenVal(smaller, _CORNER), dtype=np.float32).ravel()
        best = self._cells[self._each, values[self._cells].argmax(axis=1)]
        value = np.maximum(values[best], 0)
        weights = value / (value + _TEXTURE)
        strong = weights > _FOLLOWED
        rows, columns = np.divmod(best[strong], half[0])
        return np.stack([2 * columns + 0.5, 2 * rows + 0.5], axis=1).astype(np.float32), weights[strong]

    def _plane(self, pixels: NDArray[Any]) -> Plane:
        return np.ascontiguousarray(pixels * self._unit).view(np.complex64).ravel()


def _within(side: int) -> int:
    return min(max(side, _SIDES[0]), _SIDES[1])


def _cells(width: int, height: int, side: int) -> NDArray[np.int_]:
    """The pixels of each cell of a picture, a row for a cell, as places in the picture laid out flat."""
    rows, columns = height // side, width // side
    places = np.arange(width * height).reshape(height, width)[: rows * side, : columns * side]
    return places.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(rows * columns, side * side)
