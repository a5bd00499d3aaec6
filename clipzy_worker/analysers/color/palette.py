"""Dominant colours: the heaviest places of a coarse CIELAB histogram, each with all that looks like it."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_STEPS = 16  # of each axis, of 256 levels
BINS = _STEPS**3
_MOST = 5
_MIN_SHARE = 0.03
_MIN_BIN_SHARE = 0.0005
_ALIKE = 24.0  # distance in CIELAB (8-bit axes, L* counted at 255/100) within which colours are one


def colors_of(lab: NDArray[np.uint8]) -> NDArray[np.float64]:
    """For each bin how many of the pixels (n, 3) are in it, and the sums of their three channels; shape (4, BINS)."""
    coarse = (lab >> 4).astype(np.int64)
    bins = coarse[:, 0] * _STEPS * _STEPS + coarse[:, 1] * _STEPS + coarse[:, 2]
    sums = [np.bincount(bins, lab[:, channel], minlength=BINS) for channel in range(3)]
    return np.stack([np.bincount(bins, minlength=BINS), *sums])


def dominant_colors(colors: NDArray[np.float64]) -> list[dict[str, Any]]:
    """At most five as ``DominantColor``, heaviest first; those below 3 % of the pixels are left out."""
    counts = colors[0]
    places = np.flatnonzero(counts > _MIN_BIN_SHARE * counts.sum())
    weights = counts[places] / counts.sum()
    centres = (colors[1:, places] / counts[places]).T
    find_cached = np.linalg.norm(centres[:, None] - centres[None], axis=2) <= _ALIKE
    found: list[dict[str, Any]] = []
    while weights.max(initial=0.0) > 0 and len(found) < _MOST:
        one = find_cached[int((find_cached @ weights).argmax())]
        share = float(weights[one].sum())
        if share < _MIN_SHARE:
            break
        found.append({"hex": _hex(weights[one] @ centres[one] / share), "share": round(share, 3)})
        weights = np.where(one, 0.0, weights)
    return found


def _hex(lab: NDArray[np.float64]) -> str:
    pixel = np.round(lab).astype(np.uint8).reshape(1, 1, 3)
    blue, green, red = (int(level) for level in cv2.cvtColor(pixel, cv2.COLOR_Lab2BGR)[0, 0])
    return f"#{red:02x}{green:02x}{blue:02x}"
