"""Dominant colours: the peaks of a coarse CIELAB histogram, each with the similar colours around it."""

import numpy as np
from numpy.typing import NDArray

from clipzy_storage.models.measurements import DominantColor
from clipzy_worker.analysers.color.cielab import Lab, bgr_of

_BINS_PER_AXIS = 16
BINS = _BINS_PER_AXIS**3
_MAX_COLORS = 5
_MIN_SHARE = 0.03
_MIN_BIN_SHARE = 0.0005
# In CIELAB with 8-bit axes, L* scaled by 255/100. Closer colours are one.
_MIN_DISTANCE = 24.0


def colors_of(lab: Lab) -> NDArray[np.float64]:
    """For each bin the number of the pixels in it, and the sums of their three channels; shape (4, BINS)."""
    first, second, third = ((levels >> 4).astype(np.int64) for levels in lab)
    bins = (first * _BINS_PER_AXIS + second) * _BINS_PER_AXIS + third
    sums = [np.bincount(bins, levels, minlength=BINS) for levels in lab]
    return np.stack([np.bincount(bins, minlength=BINS), *sums])


def dominant_colors(colors: NDArray[np.float64]) -> list[DominantColor]:
    """At most five, most frequent first, none below 3 % of the pixels. ``colors`` is a sum of ``colors_of``."""
    counts = colors[0]
    occupied = np.flatnonzero(counts > _MIN_BIN_SHARE * counts.sum())
    weights = counts[occupied] / counts.sum()
    centres = (colors[1:, occupied] / counts[occupied]).T
    similar = np.linalg.norm(centres[:, None] - centres[None], axis=2) <= _MIN_DISTANCE
    found: list[DominantColor] = []
    while weights.max(initial=0.0) > 0 and len(found) < _MAX_COLORS:
        one = similar[int((similar @ weights).argmax())]
        share = float(weights[one].sum())
        if share < _MIN_SHARE:
            break
        found.append(DominantColor(hex=_hex(weights[one] @ centres[one] / share), share=round(share, 3)))
        weights = np.where(one, 0.0, weights)
    return found


def _hex(lab: NDArray[np.float64]) -> str:
    blue, green, red = bgr_of(lab)
    return f"#{red:02x}{green:02x}{blue:02x}"
