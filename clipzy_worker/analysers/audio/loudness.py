"""Loudness by ITU-R BS.1770 and EBU R 128: a meter that stores the power of K-weighted audio, and its gating."""

from array import array

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.audio.chunk import HOPS_PER_SECOND

Powers = NDArray[np.float64]

STEPS_PER_SECOND = 10
FLOOR_LUFS = -70.0
"""The absolute gate. No loudness below it is reported."""

_MOMENTARY_STEPS = 4  # 400 ms
_SHORT_TERM_STEPS = 30  # 3 s
_HOPS_PER_STEP = HOPS_PER_SECOND // STEPS_PER_SECOND
_MOMENTARY_HOPS = _MOMENTARY_STEPS * _HOPS_PER_STEP
_SHORT_TERM_HOPS = _SHORT_TERM_STEPS * _HOPS_PER_STEP
_MAX_HOPS_APPENDED = 60 * HOPS_PER_SECOND
_OFFSET_LU = -0.691
_RELATIVE_GATE_LU = -10.0
_RANGE_GATE_LU = -20.0
_RANGE_PERCENTILES = (10, 95)
_MIN_POWER = 1e-20


class LoudnessMeter:
    """Takes one power for each hop of 10 ms, weighted and summed over the channels; stores one for each step of 100 ms.

    The maxima of momentary and short-term loudness are updated at every hop: at every step only, 400 ms of audio that
    begin in between would be measured up to 0.6 dB too low, and EBU Tech 3341 (cases 13 and 14) allows 0.1.
    """

    def __init__(self) -> None:
        self._steps = array("d")
        self._rest = np.empty(0)  # hops of an incomplete step
        self._last = np.empty(0)  # hops that are part of later windows
        self._max_momentary = self._max_short_term = 0.0
        self._first_hop: int | None = None
        self._next_hop = 0

    def add(self, first_hop: int, powers: Powers) -> None:
        """Missing hops since the last call are silent."""
        if self._first_hop is None:
            self._first_hop = self._next_hop = first_hop
        while self._next_hop < first_hop:
            self._append(np.zeros(min(first_hop - self._next_hop, _MAX_HOPS_APPENDED)))
        self._append(powers)

    @property
    def integrated_lufs(self) -> float | None:
        return integrated(self._powers)

    def integrated_with(self, gain_db: float) -> float | None:
        """As of the same audio with this gain: what was below the absolute gate may not be so then."""
        return integrated(self._powers * 10 ** (gain_db / 10))

    @property
    def range_lu(self) -> float | None:
        return loudness_range(self._powers)

    @property
    def max_momentary_lufs(self) -> float | None:
        return lufs(self._max_momentary)

    @property
    def max_short_term_lufs(self) -> float | None:
        return lufs(self._max_short_term)

    def curves(self, seconds: float) -> tuple[Powers, Powers]:
        """Momentary and short-term loudness of the windows that end 0.1, 0.2, … seconds after the video begins, up to
        ``seconds``; at least -70."""
        shift = round((self._first_hop or 0) / _HOPS_PER_STEP)
        count = int(seconds * STEPS_PER_SECOND + 1e-6)
        momentary = curve(self._powers, window_steps=_MOMENTARY_STEPS)
        short_term = curve(self._powers, window_steps=_SHORT_TERM_STEPS)
        return _placed(momentary, shift, count), _placed(short_term, shift, count)

    @property
    def _powers(self) -> Powers:
        return np.frombuffer(self._steps, np.float64) if self._steps else np.empty(0)

    def _append(self, powers: Powers) -> None:
        self._next_hop += len(powers)
        hops = np.concatenate([self._rest, powers])
        whole = len(hops) // _HOPS_PER_STEP * _HOPS_PER_STEP
        self._steps.frombytes(hops[:whole].reshape(-1, _HOPS_PER_STEP).mean(axis=1).tobytes())
        self._rest = hops[whole:]
        self._last = np.concatenate([self._last, powers])
        self._max_momentary = max(self._max_momentary, self._highest(len(powers), _MOMENTARY_HOPS))
        self._max_short_term = max(self._max_short_term, self._highest(len(powers), _SHORT_TERM_HOPS))
        self._last = self._last[-(_SHORT_TERM_HOPS - 1) :]

    def _highest(self, new_hops: int, window: int) -> float:
        """The highest mean of the windows that end in the newest hops; 0 if there is none yet."""
        sums = np.concatenate([[0.0], np.cumsum(self._last[-(new_hops + window - 1) :])])
        return float(np.max(sums[window:] - sums[:-window], initial=0.0)) / window


def _placed(levels: Powers, shift: int, count: int) -> Powers:
    """``levels`` shifted by ``shift`` and cut to ``count``; -70 where there are none."""
    placed = np.full(count, FLOOR_LUFS)
    begin, end = max(shift, 0), min(shift + len(levels), count)
    if begin < end:
        placed[begin:end] = levels[begin - shift : end - shift]
    return placed


def lufs(power: float) -> float | None:
    """``None`` below -70 LUFS."""
    level = float(_lufs(np.array([power]))[0])
    return level if level >= FLOOR_LUFS else None


def curve(steps: Powers, *, window_steps: int) -> Powers:
    """Loudness of the window that ends with each step of 100 ms, in LUFS; at least -70, as for incomplete windows."""
    levels = np.full(len(steps), FLOOR_LUFS)
    windows = _windows(steps, window_steps)
    levels[len(steps) - len(windows) :] = np.maximum(_lufs(windows), FLOOR_LUFS)
    return levels


def integrated(steps: Powers) -> float | None:
    """Mean of the blocks of 400 ms, one every 100 ms, above -70 LUFS and above 10 LU below the mean of those."""
    blocks = _windows(steps, _MOMENTARY_STEPS)
    blocks = _above(blocks, FLOOR_LUFS)
    if not len(blocks):
        return None
    return lufs(float(np.mean(_above(blocks, _level(blocks) + _RELATIVE_GATE_LU))))


def loudness_range(steps: Powers) -> float | None:
    """From the 10th to the 95th percentile of short-term loudness, one every 100 ms, above -70 LUFS and above 20 LU
    below the mean of those; ``None`` if no 3 s are above -70 LUFS."""
    windows = _above(_windows(steps, _SHORT_TERM_STEPS), FLOOR_LUFS)
    if not len(windows):
        return None
    levels = np.sort(_lufs(_above(windows, _level(windows) + _RANGE_GATE_LU)))
    low, high = (levels[round((len(levels) - 1) * percent / 100)] for percent in _RANGE_PERCENTILES)
    return float(high - low)


def _windows(steps: Powers, length: int) -> Powers:
    """Mean power of every window of ``length`` steps."""
    if len(steps) < length:
        return np.empty(0)
    return np.convolve(steps, np.full(length, 1 / length), mode="valid")


def _above(powers: Powers, threshold_lufs: float) -> Powers:
    return powers[_lufs(powers) > threshold_lufs]


def _level(powers: Powers) -> float:
    return float(_lufs(np.array([np.mean(powers)]))[0])


def _lufs(powers: Powers) -> Powers:
    return np.asarray(_OFFSET_LU + 10 * np.log10(np.maximum(powers, _MIN_POWER)))
