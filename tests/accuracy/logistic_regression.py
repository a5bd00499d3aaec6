"""Weights of features by which the right one of several alternatives is chosen."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]

_BATCH = 256
_MAX_STEPS = 30
_MIN_GAIN = 0.02
_MIN_STEP_SHARE = 1 / 64


@dataclass(frozen=True)
class Choices:
    """The ``features`` of each alternative at each moment of a piece, and which alternatives are ``right``. Each piece
    counts as much as its ``weight``, however long it is."""

    features: Floats
    right: Floats
    weight: float

    def is_chosen(self, weights: Numbers) -> bool:
        """Whether what is most likely over all moments is right."""
        likely = (self.features @ weights.astype(np.float32)).mean(axis=0).argmax()
        return bool(self.right[:, likely].mean() > 0.3)


def fitted(pieces: list[Choices], *, l2: float) -> Numbers:
    """Multinomial logistic regression, by Newton's method with halved steps; ``l2`` times the sum of the squares of the
    weights is added to the negative log-likelihood."""
    weights = np.zeros(pieces[0].features.shape[-1])
    loss, gradient, curvature = _loss(pieces, weights, l2)
    for _ in range(_MAX_STEPS):
        step, share, before = np.linalg.solve(curvature, gradient), 1.0, loss
        tried = _loss(pieces, weights - step, l2)
        while tried[0] > before and share > _MIN_STEP_SHARE:
            share /= 2
            tried = _loss(pieces, weights - share * step, l2)
        weights, (loss, gradient, curvature) = weights - share * step, tried
        if before - loss < _MIN_GAIN:
            break
    return weights


def _loss(pieces: list[Choices], weights: Numbers, l2: float) -> tuple[float, Numbers, Numbers]:
    """With its first and second derivatives."""
    loss, gradient = l2 * float(weights @ weights), 2 * l2 * weights
    curvature = 2 * l2 * np.eye(len(weights))
    for features, right, moment_weight in _moments(pieces):
        score = features @ weights.astype(np.float32)
        score -= score.max(axis=1, keepdims=True)
        normaliser = np.log(np.exp(score).sum(axis=1, keepdims=True))
        likely = np.exp(score - normaliser)
        loss -= float((moment_weight * (right * (score - normaliser))).sum())
        gradient = gradient + np.tensordot(moment_weight * (likely - right), features, 2)
        expected = np.einsum("ma,maf->mf", likely, features)
        flat = features.reshape(-1, len(weights))
        curvature += (flat * (moment_weight * likely).reshape(-1, 1)).T @ flat
        curvature -= (expected * moment_weight).T @ expected
    return loss, gradient, curvature


def _moments(pieces: list[Choices]) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Features, what is right of them (in equal shares) and weight of a batch of moments."""
    for piece in pieces:
        moments = np.flatnonzero(piece.right.any(axis=1))
        for start in range(0, len(moments), _BATCH):
            some = moments[start : start + _BATCH]
            right = piece.right[some] / piece.right[some].sum(axis=1, keepdims=True)
            weight = np.full((len(some), 1), piece.weight / len(moments), dtype=np.float32)
            yield piece.features[some], right, weight
