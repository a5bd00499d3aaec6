"""Sections with a steady pulse, and their tempo."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.audio.onsets import FRAMES_PER_SECOND, Floats

Numbers = NDArray[np.float64]

_WINDOW_FRAMES = 10 * FRAMES_PER_SECOND
_STEP_FRAMES = _WINDOW_FRAMES // 4
_MIN_FRAMES = 4 * FRAMES_PER_SECOND
# 300 to 30 beats per minute, 1 % apart.
_PERIODS = np.geomspace(0.2, 2.0, 232) * FRAMES_PER_SECOND
_MULTIPLES = 4
_MAX_LAG = int(_PERIODS[-1] * _MULTIPLES) + 2
# By share of a period: what the logarithmic odds of the period gain by the autocorrelation there, of all bands together
# and band by band. Fitted by multinomial logistic regression to music whose tempo is known. Likeness at a quarter, a
# third or two thirds counts against a period: it would be a multiple of the right one.
_WEIGHTS = (
    (1 / 4, -1.57, -1.3),
    (1 / 3, -2.36, -2.36),
    (1 / 2, 1.93, -2.69),
    (2 / 3, -1.7, -1.13),
    (3 / 4, 0.66, 1.47),
    (1.0, 2.9, 1.36),
    (4 / 3, -1.33, -0.76),
    (3 / 2, 1.01, -0.23),
    (2.0, 4.61, -1.05),
    (3.0, 4.06, -0.38),
    (4.0, 2.13, 4.92),
)
_PREFERRED_BPM = 132.0
# What an octave away from it costs, in logarithmic odds; and the same for what is not audible.
_PREFERENCE_WEIGHT, _AUDIBLE_WEIGHT = 3.57, 2.0
# Root mean square. Below, there are no onsets.
_MIN_FLUX = 0.02
# In logarithmic odds.
_TEMPO_CHANGE_COST = 8.0
# The steps of ``_PERIODS`` by which the tempo may drift between windows without cost.
_MAX_DRIFT_STEPS = 3
_MIN_CLARITY = 0.2
# A section goes on through windows that are less clear, such as breaks, as long as the best path keeps the tempo.
_MIN_CLARITY_BETWEEN = 0.12
_MIN_WINDOWS = 3
_MIN_CLARITY_OF_FEWER_WINDOWS = 0.35
# Autocorrelation at half the period, relative to that at the period. Between these, every second onset is a beat, too.
# Above, the onsets between are others than those of the beats.
_EQUAL_ONSETS_RATIOS = (0.93, 1.02)
_MIN_HALVED_PERIOD = 0.27 * FRAMES_PER_SECOND


@dataclass(frozen=True)
class Pulse:
    """A section with a steady pulse: its period and clarity (0 to 1) at each of ``frames``."""

    first: int
    end: int
    frames: Numbers
    periods: Numbers
    clarity: Numbers


def flux(strength: Floats) -> Numbers:
    """Onset strength by band, less its mean over the second around it, smoothed over 50 ms."""
    kept = [np.maximum(band - _smooth(band, 101), 0) for band in strength.T.astype(np.float64)]
    return np.stack([_smooth(band, 5) for band in kept], axis=1)


def pulses(strength: Numbers) -> list[Pulse]:
    """The sections with a steady pulse; ``strength`` is the result of ``flux``.

    In windows of 10 s, every 2.5 s, the flux is autocorrelated, for all bands together and band by band. The score of a
    period is a weighted sum at shares and multiples of it, with a log-normal preference around 132 bpm; a path through
    all windows is chosen by dynamic programming. Its clarity is the mean at one to four multiples.
    """
    if len(strength) < _MIN_FRAMES:
        return []
    together, by_band = _autocorrelations(strength)
    combs = (_comb(together, _PERIODS) + _comb(by_band, _PERIODS)) / 2
    path = _path(_score(together, by_band))
    clarity = combs[np.arange(len(combs)), path]
    found = []
    for first, end in _runs(clarity, path):
        periods = _PERIODS[path[first:end]]
        if _has_equal_onsets(by_band[first:end], periods):
            periods = periods / 2
        found.append(_pulse(first, end, len(combs), len(strength), periods, clarity[first:end]))
    return found


def _autocorrelations(strength: Numbers) -> tuple[Numbers, Numbers]:
    """Autocorrelation by window and lag, 1 for lag 0: of the sum of the bands, and summed over bands."""
    if len(strength) < _WINDOW_FRAMES:
        strength = np.pad(strength, ((0, _WINDOW_FRAMES - len(strength)), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(strength, _WINDOW_FRAMES, axis=0)[::_STEP_FRAMES]
    windows = windows - windows.mean(axis=-1, keepdims=True)
    bands = _autocorrelation(windows).sum(axis=1)
    together = _autocorrelation(windows.mean(axis=1))
    least = _WINDOW_FRAMES * _MIN_FLUX**2
    return together / (together[:, :1] + least), bands / (bands[:, :1] + least)


def _autocorrelation(windows: Numbers) -> Numbers:
    power = np.square(np.abs(np.fft.rfft(windows, 2 * _WINDOW_FRAMES)))
    shares = np.arange(_WINDOW_FRAMES, _WINDOW_FRAMES - _MAX_LAG, -1) / _WINDOW_FRAMES
    return np.asarray(np.fft.irfft(power)[..., :_MAX_LAG] / shares)


def _comb(correlation: Numbers, periods: Numbers) -> Numbers:
    return np.asarray(np.mean([_at(correlation, periods * n) for n in range(1, _MULTIPLES + 1)], axis=0))


def _at(correlation: Numbers, lags: Numbers) -> Numbers:
    whole = lags.astype(int)
    part = lags - whole
    return np.asarray(correlation[:, whole] * (1 - part) + correlation[:, whole + 1] * part)


def _score(together: Numbers, by_band: Numbers) -> Numbers:
    """The logarithmic odds of each period, by window."""
    octaves = np.log2(60 * FRAMES_PER_SECOND / _PERIODS / _PREFERRED_BPM)
    score = np.tile(-_PREFERENCE_WEIGHT * np.square(octaves), (len(together), 1))
    for share, weight_together, weight_by_band in _WEIGHTS:
        lags = _PERIODS * share
        score += weight_together * _at(together, lags) + weight_by_band * _at(by_band, lags)
    return np.asarray(score + _AUDIBLE_WEIGHT * np.log(_audible(together)))


def _audible(together: Numbers) -> Numbers:
    """1, or down to 0.2 for a period with onsets neither at itself nor at its half, but only at its double."""
    sounds = np.maximum(_at(together, _PERIODS), _at(together, _PERIODS / 2))
    return np.asarray(np.clip(sounds / np.maximum(0.2 * together[:, 20:].max(axis=1, keepdims=True), 1e-9), 0.2, 1))


def _path(score: Numbers) -> NDArray[np.intp]:
    """The index of the period of each window on the best path through all windows."""
    best, came = score[0], []
    periods = np.arange(score.shape[1])
    for now in score[1:]:
        padded = np.pad(best, _MAX_DRIFT_STEPS, constant_values=-np.inf)
        near = np.lib.stride_tricks.sliding_window_view(padded, 2 * _MAX_DRIFT_STEPS + 1)
        origin = periods + near.argmax(axis=1) - _MAX_DRIFT_STEPS
        jumps = best.max() - _TEMPO_CHANGE_COST > near.max(axis=1)
        origin[jumps] = best.argmax()
        best = now + np.where(jumps, best.max() - _TEMPO_CHANGE_COST, near.max(axis=1))
        came.append(origin)
    path = [int(best.argmax())]
    for origin in reversed(came):
        path.append(int(origin[path[-1]]))
    return np.array(path[::-1])


def _runs(clarity: Numbers, path: NDArray[np.intp]) -> list[tuple[int, int]]:
    """First and end of each run of windows that keep their tempo, enough of which are clear."""
    kept = np.abs(np.diff(path)) <= _MAX_DRIFT_STEPS
    steady = clarity >= _MIN_CLARITY_BETWEEN
    starts = steady & ~np.concatenate([[False], steady[:-1] & kept])
    ends = steady & ~np.concatenate([steady[1:] & kept, [False]])
    runs = zip(np.flatnonzero(starts).tolist(), (np.flatnonzero(ends) + 1).tolist(), strict=True)
    return [(first, end) for first, end in runs if _is_clear(clarity[first:end])]


def _is_clear(clarity: Numbers) -> bool:
    enough = int((clarity >= _MIN_CLARITY).sum()) >= _MIN_WINDOWS
    return enough or float(clarity.min()) >= _MIN_CLARITY_OF_FEWER_WINDOWS


def _has_equal_onsets(by_band: Numbers, periods: Numbers) -> bool:
    """Whether the pulse is really twice as fast, as that of a metronome without accents."""
    if periods.mean() / 2 < _MIN_HALVED_PERIOD:
        return False
    rows = np.arange(len(periods))
    half, whole, one_and_a_half = (_at(by_band, periods * share)[rows, rows].mean() for share in (0.5, 1.0, 1.5))
    at_least, at_most = _EQUAL_ONSETS_RATIOS
    return bool(at_least * whole <= (half + one_and_a_half) / 2 <= at_most * whole)


def _pulse(first: int, end: int, windows: int, frames: int, periods: Numbers, clarity: Numbers) -> Pulse:
    """A window represents its middle; the first and the last also what lies beyond."""
    at = np.asarray(np.arange(first, end) * _STEP_FRAMES + _WINDOW_FRAMES / 2, dtype=np.float64)
    begins = 0 if first == 0 else round(at[0] - _STEP_FRAMES / 2)
    ends = frames if end == windows else round(at[-1] + _STEP_FRAMES / 2)
    return Pulse(begins, min(ends, frames), at, periods, clarity)


def _smooth(values: Numbers, width: int) -> Numbers:
    kernel = np.hanning(width + 2)[1:-1]
    return np.convolve(values, kernel / kernel.sum(), "same") if len(values) >= width else values * 0
