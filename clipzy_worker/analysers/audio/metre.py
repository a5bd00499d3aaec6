"""How like a beat each moment of a steady pulse is, and how unlike the moments between beats."""

from collections.abc import Iterator

import numpy as np

from clipzy_worker.analysers.audio.onsets import BANDS
from clipzy_worker.analysers.audio.tempo import Numbers

# What the logarithmic odds of a beat gain by the flux of each band at a share of a period after it. Cymbals sound on
# the beat and halfway, chords on the beat, and less of both a quarter or a third of a beat later. Fitted by multinomial
# logistic regression to about half of the music of ``python -m tests.accuracy.fit_metre``. What that command makes of
# all of it is no better for songs that were left out, and worse for those that are held out, so these were kept.
SHARES = (0.0, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4)
_WEIGHTS = (
    *(0.59, -0.31, 0.19, -0.38, -0.14, -0.03),  # bass
    *(1.13, -1.05, -0.71, -0.06, 0.16, 0.57),  # mid
    *(2.71, -1.04, -0.29, 1.35, 0.69, 1.0),  # treble
)
# A moment is heard together with those so many periods before and after it: one drum is often left out.
_NEIGHBOURS = 4
# Of the mean of all bands. A band with less is not made as loud as the others.
_MIN_BAND_SHARE = 0.1


def beat_likeness(by_band: Numbers, periods: Numbers) -> Numbers:
    """For each frame, with a standard deviation of 1; ``by_band`` is the result of ``flux``, ``periods`` the length of
    a beat at each frame."""
    weighted = zip(_WEIGHTS, features(by_band, periods), strict=True)
    likeness = np.asarray(sum(weight * feature for weight, feature in weighted))
    return np.asarray(likeness / (likeness.std() + 1e-9))


def features(by_band: Numbers, periods: Numbers) -> Iterator[Numbers]:
    """The flux of each band at each of ``SHARES`` of a period after each frame."""
    means = by_band.mean(axis=0)
    by_band = by_band / (3 * np.maximum(means, _MIN_BAND_SHARE * means.mean()) + 1e-9)
    frames = np.arange(len(periods), dtype=np.float64)
    for band in range(len(BANDS)):
        folded = _folded(by_band[:, band], frames, periods)
        for share in SHARES:
            at = frames + share * periods
            at = np.where(at < len(frames), at, at - periods)
            yield np.interp(at, frames, folded)


def _folded(flux: Numbers, frames: Numbers, periods: Numbers) -> Numbers:
    """The mean of each frame and its neighbours whole periods away, as far as they lie within."""
    total, count = np.zeros(len(flux)), np.zeros(len(flux))
    for distance in range(-_NEIGHBOURS, _NEIGHBOURS + 1):
        at = frames + distance * periods
        total += np.interp(at, frames, flux, left=0, right=0)
        count += (at >= 0) & (at <= frames[-1])
    return total / count
