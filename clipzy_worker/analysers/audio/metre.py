"""How like a beat each moment of a steady pulse is, and how unlike the moments between beats."""

import numpy as np

from clipzy_worker.analysers.audio.onsets import BANDS
from clipzy_worker.analysers.audio.tempo import Numbers

# What the logarithmic odds of a beat gain by the flux of each band at a share of a period after it. Fitted by
# multinomial logistic regression to music whose beats are known. Cymbals sound on the beat and halfway, chords on the
# beat, and less of both a quarter or a third of a beat later.
_WEIGHTS = {
    0: (0.59, 1.13, 2.71),
    1 / 4: (-0.31, -1.05, -1.04),
    1 / 3: (0.19, -0.71, -0.29),
    1 / 2: (-0.38, -0.06, 1.35),
    2 / 3: (-0.14, 0.16, 0.69),
    3 / 4: (-0.03, 0.57, 1.00),
}
# A moment is heard together with those so many periods before and after it: one drum is often left out.
_NEIGHBOURS = 4
# Of the mean of all bands. A band with less is not made as loud as the others.
_MIN_BAND_SHARE = 0.1


def beat_likeness(by_band: Numbers, periods: Numbers) -> Numbers:
    """For each frame, with a standard deviation of 1; ``by_band`` is the result of ``flux``, ``periods`` the length of
    a beat at each frame."""
    means = by_band.mean(axis=0)
    by_band = by_band / (3 * np.maximum(means, _MIN_BAND_SHARE * means.mean()) + 1e-9)
    frames = np.arange(len(periods), dtype=np.float64)
    likeness = np.zeros(len(periods))
    for band in range(len(BANDS)):
        folded = _folded(by_band[:, band], frames, periods)
        for share, weights in _WEIGHTS.items():
            at = frames + share * periods
            at = np.where(at < len(frames), at, at - periods)
            likeness += weights[band] * np.interp(at, frames, folded)
    return np.asarray(likeness / (likeness.std() + 1e-9))


def _folded(flux: Numbers, frames: Numbers, periods: Numbers) -> Numbers:
    """The mean of each frame and its neighbours whole periods away, as far as they lie within."""
    total, count = np.zeros(len(flux)), np.zeros(len(flux))
    for distance in range(-_NEIGHBOURS, _NEIGHBOURS + 1):
        at = frames + distance * periods
        total += np.interp(at, frames, flux, left=0, right=0)
        count += (at >= 0) & (at <= frames[-1])
    return total / count
