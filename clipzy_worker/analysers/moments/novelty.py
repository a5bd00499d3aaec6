"""How different the pictures of shots are."""

import numpy as np

from clipzy_worker.analysers.moments.cells import Numbers
from clipzy_worker.analysers.moments.pictures import Histogram


def novelties(histograms: Histogram, seconds: Numbers) -> Numbers | None:
    """For each shot the mean distance to all other shots, weighted by their ``seconds``: 1 less the intersection.

    Blank shots have 0 and count as none; ``None`` if there are not two others.
    """
    shown = np.flatnonzero(histograms.any(axis=1))
    if len(shown) < 2:
        return None
    weights = seconds[shown]
    common = np.zeros(len(shown))
    for column in np.flatnonzero(histograms.any(axis=0)):
        common += _common(histograms[shown, column].astype(np.float64), weights)
    own = histograms[shown].sum(axis=1, dtype=np.float64) * weights
    found = np.zeros(len(histograms))
    found[shown] = np.clip(1 - (common - own) / (weights.sum() - weights), 0, 1)
    return found


def _common(shares: Numbers, weights: Numbers) -> Numbers:
    """For each share the sum over all of ``weight * min(share, other)``, by sorting: not by comparing all pairs."""
    order = np.argsort(shares, kind="stable")
    ordered, weighed = shares[order], weights[order]
    found = np.empty(len(shares))
    found[order] = np.cumsum(ordered * weighed) + ordered * (weighed.sum() - np.cumsum(weighed))
    return found
