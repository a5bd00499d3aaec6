"""Sudden rises of loudness."""

import numpy as np

from clipzy_worker.analysers.audio.loudness import STEPS_PER_SECOND
from clipzy_worker.analysers.moments.cells import Integral, Numbers
from clipzy_worker.analysers.moments.measured import MeasuredSound

FULL_RISE_LU = 10.0

_BEFORE_STEPS = 5 * STEPS_PER_SECOND
_MIN_AUDIBLE_STEPS = STEPS_PER_SECOND
_MOMENTARY_STEPS = 4
_AROUND_STEPS = 2 * STEPS_PER_SECOND
_DECIMALS = 1


def surprises(sound: MeasuredSound) -> Integral:
    """Of the largest rise within two seconds of each time: how far momentary loudness was above the mean of the 5 s
    before, 1 for 10 LU or more.

    Silence does not count into that mean: the first sound after it is no surprise.
    """
    around = np.pad(_above_before(sound), _AROUND_STEPS)
    largest = np.lib.stride_tricks.sliding_window_view(around, 2 * _AROUND_STEPS + 1).max(axis=1)
    edges = (np.arange(len(largest) + 1, dtype=np.float64) - _MOMENTARY_STEPS / 2 + 0.5) / STEPS_PER_SECOND
    return Integral.of(edges, largest)


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
