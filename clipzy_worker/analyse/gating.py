"""Loudness from the powers of K-weighted sound: ITU-R BS.1770-5, EBU R 128, EBU Tech 3341 and 3342. Pure."""

import numpy as np
from numpy.typing import NDArray

Powers = NDArray[np.float64]

STEPS_PER_SECOND = 10
MOMENTARY_STEPS = 4  # 400 ms
SHORT_TERM_STEPS = 30  # 3 s
FLOOR_LUFS = -70.0  # the absolute gate; nothing below it is called loud

_OFFSET_LU = -0.691
_GATE_LU = -10.0
_RANGE_GATE_LU = -20.0
_RANGE_PERCENTILES = (10, 95)
_TINY = 1e-20


def lufs(power: float) -> float | None:
    """``None`` below -70 LUFS."""
    level = float(_lufs(np.array([power]))[0])
    return level if level >= FLOOR_LUFS else None


def curve(steps: Powers, *, window_steps: int) -> Powers:
    """Loudness of the window that ends with each step of 100 ms, in LUFS; -70 at least, also where sound has not
    gone on for so long."""
    levels = np.full(len(steps), FLOOR_LUFS)
    windows = _windows(steps, window_steps)
    levels[len(steps) - len(windows) :] = np.maximum(_lufs(windows), FLOOR_LUFS)
    return levels


def integrated(steps: Powers) -> float | None:
    """Mean of the blocks of 400 ms, begun every 100, above -70 LUFS and above 10 LU below the mean of those."""
    blocks = _windows(steps, MOMENTARY_STEPS)
    blocks = _above(blocks, FLOOR_LUFS)
    if not len(blocks):
        return None
    return lufs(float(np.mean(_above(blocks, _level(blocks) + _GATE_LU))))


def loudness_range(steps: Powers) -> float | None:
    """From the 10th to the 95th percentile of short-term loudness, taken every 100 ms, of what lies above -70 LUFS and
    above 20 LU below its mean; ``None`` where no 3 s are above -70 LUFS."""
    windows = _above(_windows(steps, SHORT_TERM_STEPS), FLOOR_LUFS)
    if not len(windows):
        return None
    levels = np.sort(_lufs(_above(windows, _level(windows) + _RANGE_GATE_LU)))
    low, high = (levels[round((len(levels) - 1) * percent / 100)] for percent in _RANGE_PERCENTILES)
    return float(high - low)


def _windows(steps: Powers, length: int) -> Powers:
    """Mean power of every run of ``length`` steps."""
    if len(steps) < length:
        return np.empty(0)
    return np.convolve(steps, np.full(length, 1 / length), mode="valid")


def _above(powers: Powers, threshold_lufs: float) -> Powers:
    return powers[_lufs(powers) > threshold_lufs]


def _level(powers: Powers) -> float:
    return float(_lufs(np.array([np.mean(powers)]))[0])


def _lufs(powers: Powers) -> Powers:
    return np.asarray(_OFFSET_LU + 10 * np.log10(np.maximum(powers, _TINY)))
