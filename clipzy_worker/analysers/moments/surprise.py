"""Sudden rises of loudness."""

from dataclasses import dataclass

import numpy as np

from clipzy_worker.analysers.audio.loudness import STEPS_PER_SECOND
from clipzy_worker.analysers.moments.cells import Numbers
from clipzy_worker.analysers.moments.measured import MeasuredSound
from clipzy_worker.analysers.moments.windows import Windows

FULL_RISE_LU = 10.0

_COUNTED = 3
_BEFORE_STEPS = 5 * STEPS_PER_SECOND
_MIN_AUDIBLE_STEPS = STEPS_PER_SECOND
_MOMENTARY_STEPS = 4
# Two rises that are nearer than this are one.
_APART_STEPS = STEPS_PER_SECOND
_DECIMALS = 1


@dataclass(frozen=True)
class Rises:
    """When loudness rises, in order, and how far: 1 is 10 LU or more."""

    seconds: Numbers
    sizes: Numbers

    def largest(self, windows: Windows) -> Numbers:
        """The mean of the three largest in each window; those that are missing are 0."""
        first = np.searchsorted(self.seconds, windows.starts)
        counts = windows.counts(self.seconds)
        most = int(counts.max(initial=0))
        sizes = np.append(self.sizes, np.zeros(most))
        means = np.zeros((len(windows.starts), most + 1), np.float32)
        top, second, third = np.zeros((_COUNTED, len(windows.starts)))
        for count in range(most):
            new = sizes[first + count]
            third = np.maximum(third, np.minimum(second, new))
            second = np.maximum(second, np.minimum(top, new))
            top = np.maximum(top, new)
            means[:, count + 1] = (top + second + third) / _COUNTED
        return np.asarray(means[windows.first, counts], np.float64)


def rises(sound: MeasuredSound) -> Rises:
    """Where momentary loudness is above the mean of the 5 s before, and nowhere more within a second.

    Silence does not count into that mean: the first sound after it is no surprise.
    """
    sizes = _above_before(sound)
    around = np.pad(sizes, _APART_STEPS)
    near = np.lib.stride_tricks.sliding_window_view(around, 2 * _APART_STEPS + 1)
    is_first = sizes > near[:, :_APART_STEPS].max(axis=1)
    steps = np.flatnonzero(is_first & (sizes >= near.max(axis=1)))
    middle_of_window = (steps + 1 - _MOMENTARY_STEPS / 2) / STEPS_PER_SECOND
    return Rises(middle_of_window, sizes[steps])


def _above_before(sound: MeasuredSound) -> Numbers:
    """Of each step of the loudness curve, from 0 to 1."""
    audible = sound.is_audible
    powers = np.where(audible, 10 ** (sound.momentary / 10), 0.0)
    sums, counts = (np.concatenate([[0.0], np.cumsum(values)]) for values in (powers, audible))
    until = np.maximum(np.arange(len(powers)) + 1 - _MOMENTARY_STEPS, 0)  # its own window is not before it
    since = np.maximum(until - _BEFORE_STEPS, 0)
    before, count = sums[until] - sums[since], counts[until] - counts[since]
    is_known = audible & (count >= _MIN_AUDIBLE_STEPS) & (before > 0)
    level = 10 * np.log10(np.where(is_known, before, 1.0) / np.maximum(count, 1))
    rise = np.where(is_known, sound.momentary - level, 0.0).round(_DECIMALS)
    return np.clip(rise / FULL_RISE_LU, 0, 1)
