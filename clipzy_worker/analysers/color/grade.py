"""The grade: colour statistics in a few numbers, from CIELAB values of sampled frames. Pure.

L* runs from 0 to 100; a* from green to magenta, b* from blue to yellow, both 0 for grey. The values of ordinary video,
for which the grade is 0, are constants here; ``docs/pipeline.md`` repeats them.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clipzy_storage.models.measurements import Grade
from clipzy_worker.analysers.base import Pixels
from clipzy_worker.analysers.color.cielab import lab_of
from clipzy_worker.analysers.color.palette import BINS, colors_of, dominant_colors

ORDINARY_CHROMA = 16.0
"""Mean of the pixels."""
CHROMA_OF_NOISE = 2.0
"""What encoding and rounding leave in a grey frame."""
ORDINARY_SPREAD = 22.0
"""Standard deviation of L*."""
ORDINARY_HIGHLIGHTS = 85.0
"""L* of the 98th percentile."""
ORDINARY_SHADOWS = 8.0
"""L* of the 2nd percentile."""
CAST_SCALE = 20.0
"""Mean a* or b* of a strong cast: 76 of 100."""
# Above, the colour is that of an object and counts less for the cast.
_MAX_CAST_CHROMA = 40.0
_HIGHLIGHTS_PERCENTILE, _SHADOWS_PERCENTILE = 0.98, 0.02


@dataclass
class GradeSum:
    """The sum over samples. Its size is fixed."""

    levels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    """Histogram of L*, in steps of 100/255."""
    colors: NDArray[np.float64] = field(default_factory=lambda: np.zeros((4, BINS)))
    """As ``palette.colors_of`` returns them."""
    chroma: float = 0.0
    cast_a: float = 0.0
    cast_b: float = 0.0
    cast_weight: float = 0.0

    def add(self, _seconds: float, sample: "GradeSum") -> None:
        for name, value in vars(sample).items():
            setattr(self, name, getattr(self, name) + value)

    def times(self, weight: int) -> "GradeSum":
        """The sum over so many samples like this one."""
        return self if weight == 1 else GradeSum(**{name: value * weight for name, value in vars(self).items()})


def measured(pixels: Pixels) -> GradeSum:
    """The sum over the pixels of one frame (BGR)."""
    lab = lab_of(pixels)
    a, b = (levels.astype(np.float32) - 128 for levels in lab[1:])
    chroma = np.hypot(a, b)
    weight = 1 / (1 + np.square(chroma / _MAX_CAST_CHROMA))
    return GradeSum(
        levels=np.bincount(lab[0], minlength=256),
        colors=colors_of(lab),
        chroma=float(chroma.sum()),
        cast_a=float(weight @ a),
        cast_b=float(weight @ b),
        cast_weight=float(weight.sum()),
    )


def grade_of(total: GradeSum) -> Grade | None:
    """``None`` if nothing was added."""
    count = int(total.levels.sum())
    if count == 0:
        return None
    steps = np.arange(256) / 2.55
    mean = float(total.levels @ steps) / count
    spread = math.sqrt(float(total.levels @ np.square(steps - mean)) / count)
    return Grade(
        brightness=_rounded(mean),
        temperature=_rounded(_cast(total.cast_b / total.cast_weight)),
        tint=_rounded(_cast(total.cast_a / total.cast_weight)),
        saturation=_rounded(_relative(total.chroma / count - CHROMA_OF_NOISE, ORDINARY_CHROMA)),
        contrast=_rounded(_relative(spread, ORDINARY_SPREAD)),
        highlights=_rounded(_level(_percentile(total.levels, _HIGHLIGHTS_PERCENTILE), ORDINARY_HIGHLIGHTS)),
        shadows=_rounded(_level(_percentile(total.levels, _SHADOWS_PERCENTILE), ORDINARY_SHADOWS)),
        dominant=dominant_colors(total.colors),
    )


def _percentile(levels: NDArray[np.int64], share: float) -> float:
    """L* below which this share of the pixels lies, interpolated between steps."""
    sums = np.cumsum(levels)
    step = int(np.searchsorted(sums, share * sums[-1]))
    before = sums[step - 1] if step else 0
    return float((step + (share * sums[-1] - before) / levels[step] - 0.5) / 2.55)


def _cast(mean: float) -> float:
    return 100 * math.tanh(mean / CAST_SCALE)


def _relative(value: float, ordinary: float) -> float:
    """-100 for 0, 0 for the ordinary value, and towards 100 for infinity."""
    value = max(value, 0.0)
    return 100 * (value - ordinary) / (value + ordinary)


def _level(value: float, ordinary: float) -> float:
    """-100 at L* 0, 0 at the ordinary level, 100 at L* 100."""
    room = 100 - ordinary if value > ordinary else ordinary
    return 100 * min(max((value - ordinary) / room, -1.0), 1.0)


def _rounded(value: float) -> float:
    return round(value, 1) + 0.0  # no -0.0
