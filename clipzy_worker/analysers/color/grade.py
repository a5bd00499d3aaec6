"""The look of a stretch of film in a few numbers, from CIELAB statistics of sampled pictures. Pure but for cv2.

L* runs from 0 to 100; a* from green to magenta, b* from blue to yellow, both 0 for grey. What ordinary
footage has, by which 0 is set, are constants here; ``docs/pipeline.md`` repeats them.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Pixels
from clipzy_worker.analysers.color.palette import BINS, colors_of, dominant_colors

ORDINARY_CHROMA = 16.0
CHROMA_OF_NOISE = 2.0  # what coding and rounding leave of it in a grey picture
ORDINARY_SPREAD = 22.0  # standard deviation of L*
ORDINARY_HIGHLIGHTS = 85.0  # L* of the 98th percentile
ORDINARY_SHADOWS = 8.0  # L* of the 2nd percentile
CAST_SCALE = 20.0  # of the mean a* or b* that makes a strong cast: 76 of 100
_GREY_CHROMA = 40.0  # what is more vivid is a thing's own colour, and counts less for the cast


@dataclass
class GradeSum:
    """Adds up pictures (BGR). Of fixed size, however many there are."""

    levels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))  # of L*, in steps of 100/255
    colors: NDArray[np.float64] = field(
        default_factory=lambda: np.zeros((4, BINS))
    )  # as ``palette.colors_of`` has them
    chroma: float = 0.0  # sums over all pixels
    cast_a: float = 0.0
    cast_b: float = 0.0
    cast_weight: float = 0.0

    def add(self, _seconds: float, sample: "GradeSum") -> None:
        for name, value in vars(sample).items():
            setattr(self, name, getattr(self, name) + value)


def measured(pixels: Pixels) -> GradeSum:
    """The sum over one picture."""
    lab = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2Lab), dtype=np.uint8).reshape(-1, 3)
    a, b = (lab[:, place].astype(np.float32) - 128 for place in (1, 2))
    chroma = np.hypot(a, b)
    weight = 1 / (1 + np.square(chroma / _GREY_CHROMA))
    return GradeSum(
        levels=np.bincount(lab[:, 0], minlength=256),
        colors=colors_of(lab),
        chroma=float(chroma.sum()),
        cast_a=float(weight @ a),
        cast_b=float(weight @ b),
        cast_weight=float(weight.sum()),
    )


def grade_of(total: GradeSum) -> dict[str, Any] | None:
    """The ``Grade`` of ``output.json``; ``None`` where nothing was added."""
    count = int(total.levels.sum())
    if count == 0:
        return None
    steps = np.arange(256) / 2.55
    mean = float(total.levels @ steps) / count
    spread = math.sqrt(float(total.levels @ np.square(steps - mean)) / count)
    return {
        "brightness": _rounded(mean),
        "temperature": _rounded(_cast(total.cast_b / total.cast_weight)),
        "tint": _rounded(_cast(total.cast_a / total.cast_weight)),
        "saturation": _rounded(_against(total.chroma / count - CHROMA_OF_NOISE, ORDINARY_CHROMA)),
        "contrast": _rounded(_against(spread, ORDINARY_SPREAD)),
        "highlights": _rounded(_level(_percentile(total.levels, 0.98), ORDINARY_HIGHLIGHTS)),
        "shadows": _rounded(_level(_percentile(total.levels, 0.02), ORDINARY_SHADOWS)),
        "dominant": dominant_colors(total.colors),
    }


def _percentile(levels: NDArray[np.int64], share: float) -> float:
    """L* below which this share of the pixels lies, between the steps in proportion."""
    sums = np.cumsum(levels)
    place = int(np.searchsorted(sums, share * sums[-1]))
    before = sums[place - 1] if place else 0
    return float((place + (share * sums[-1] - before) / levels[place] - 0.5) / 2.55)


def _cast(mean: float) -> float:
    return 100 * math.tanh(mean / CAST_SCALE)


def _against(value: float, ordinary: float) -> float:
    """-100 for nothing of it, 0 for what is ordinary, towards 100 for ever more."""
    value = max(value, 0.0)
    return 100 * (value - ordinary) / (value + ordinary)


def _level(value: float, ordinary: float) -> float:
    """-100 at L* 0, 0 at the ordinary level, 100 at L* 100."""
    room = 100 - ordinary if value > ordinary else ordinary
    return 100 * min(max((value - ordinary) / room, -1.0), 1.0)


def _rounded(value: float) -> float:
    return round(value, 1) + 0.0  # no -0.0
