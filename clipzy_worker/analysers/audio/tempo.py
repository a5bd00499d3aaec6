"""Sections with a steady pulse, and their tempo."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.audio.onsets import FRAMES_PER_SECOND, Floats

Numbers = NDArray[np.float64]

_WINDOW_FRAMES = 10 * FRAMES_PER_SECOND
_STEP_FRAMES = _WINDOW_FRAMES // 4
_MIN_FRAMES = 4 * FRAMES_PER_SECOND
# In frames: 300 to 30 beats per minute, 1 % apart.
PERIODS = np.geomspace(0.2, 2.0, 232) * FRAMES_PER_SECOND
_MULTIPLES = 4
_MAX_LAG = int(PERIODS[-1] * _MULTIPLES) + 2
# Where the autocorrelation is looked at, in periods. What it is at thirds and eighths tells a period from its multiples
# and parts.
SHARES = (1 / 8, 1 / 6, 1 / 4, 1 / 3, 3 / 8, 1 / 2, 2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2, 2.0, 8 / 3, 3.0, 4.0)
# What the logarithmic odds of a period gain by each of ``features``. Fitted by multinomial logistic regression to music
# whose tempo is known: ``python -m tests.accuracy.fit_metre``.
_WEIGHTS = (
    # of all bands together
    *(-2.21, -4.8, -3.16, -2.79, -4.04, -2.17, -1.25, -1.15, 7.36, -1.89, 3.08, 6.93, 0.03, 4.38, 0.83),
    # band by band
    *(-1.81, -3.33, 1.27, -1.46, -1.27, -1.72, 0.65, 2.4, -2.83, 0.34, -0.53, -1.61, -0.67, -5.67, 0.55),
    # audible, octaves, octaves squared
    *(1.25, 0.15, -2.41),
)
# Root mean square. Below, there are no onsets.
_MIN_FLUX = 0.02
# In logarithmic odds.
_TEMPO_CHANGE_COST = 8.0
# The steps of ``PERIODS`` by which the tempo may drift between windows without cost.
_MAX_DRIFT_STEPS = 3
_MIN_CLARITY = 0.2
# A section goes on through windows that are less clear, such as breaks, as long as the best path keeps the tempo.
_MIN_CLARITY_BETWEEN = 0.12
_MIN_WINDOWS = 3
_MIN_CLARITY_OF_FEWER_WINDOWS = 0.35
# Autocorrelation at half the period, relative to that at the period. Between these, every second onset is a beat, too.
# Above, the onsets between are others than those of the beats.
_EQUAL_ONSETS_RATIOS = (0.95, 1.02)
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
    period is a weighted sum at shares and multiples of it, with a log-normal preference around 123 bpm; a path through
    all windows is chosen by dynamic programming. Its clarity is the mean at one to four multiples.
    """
    if len(strength) < _MIN_FRAMES:
        return []
    together, by_band = autocorrelations(strength)
    combs = (_comb(together, PERIODS) + _comb(by_band, PERIODS)) / 2
    path = _path(_score(together, by_band))
    clarity = combs[np.arange(len(combs)), path]
    found = []
    for first, end in _runs(clarity, path):
        periods = PERIODS[path[first:end]]
        if all(_has_equal_onsets(correlation[first:end], periods) for correlation in (together, by_band)):
            periods = periods / 2
        found.append(_pulse(first, end, len(combs), len(strength), periods, clarity[first:end]))
    return found


def autocorrelations(strength: Numbers) -> tuple[Numbers, Numbers]:
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


def window_middles(windows: int) -> Numbers:
    """In frames."""
    return np.asarray(np.arange(windows) * _STEP_FRAMES + _WINDOW_FRAMES / 2, dtype=np.float64)


def features(together: Numbers, by_band: Numbers) -> Iterator[Numbers]:
    """What is known of each period, by window: the autocorrelations at ``SHARES`` of it, whether it is audible, and how
    many octaves it lies above 120 beats per minute, which is squared, too."""
    for correlation in (together, by_band):
        for share in SHARES:
            yield _at(correlation, PERIODS * share)
    octaves = np.log2(60 * FRAMES_PER_SECOND / PERIODS / 120)
    yield np.log(_audible(together))
    yield np.broadcast_to(octaves, (len(together), len(PERIODS)))
    yield np.broadcast_to(np.square(octaves), (len(together), len(PERIODS)))


def _score(together: Numbers, by_band: Numbers) -> Numbers:
    """The logarithmic odds of each period, by window."""
    weighted = zip(_WEIGHTS, features(together, by_band), strict=True)
    return np.asarray(sum(weight * feature for weight, feature in weighted))


def _audible(together: Numbers) -> Numbers:
    """1, or down to 0.2 for a period with onsets neither at itself nor at its half, but only at its double."""
    sounds = np.maximum(_at(together, PERIODS), _at(together, PERIODS / 2))
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


def _has_equal_onsets(correlation: Numbers, periods: Numbers) -> bool:
    """Whether the pulse is really twice as fast, as that of a metronome without accents."""
    if periods.mean() / 2 < _MIN_HALVED_PERIOD:
        return False
    rows = np.arange(len(periods))
    half, whole, one_and_a_half = (_at(correlation, periods * share)[rows, rows].mean() for share in (0.5, 1.0, 1.5))
    at_least, at_most = _EQUAL_ONSETS_RATIOS
    return bool(at_least * whole <= (half + one_and_a_half) / 2 <= at_most * whole)


def _pulse(first: int, end: int, windows: int, frames: int, periods: Numbers, clarity: Numbers) -> Pulse:
    """A window represents its middle; the first and the last also what lies beyond."""
    at = window_middles(end)[first:]
    begins = 0 if first == 0 else round(at[0] - _STEP_FRAMES / 2)
    ends = frames if end == windows else round(at[-1] + _STEP_FRAMES / 2)
    return Pulse(begins, min(ends, frames), at, periods, clarity)


def _smooth(values: Numbers, width: int) -> Numbers:
    kernel = np.hanning(width + 2)[1:-1]
    return np.convolve(values, kernel / kernel.sum(), "same") if len(values) >= width else values * 0
