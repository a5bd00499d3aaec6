"""The global motion of a frame: the similarity transform that fits most of its points, robust to the others. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float32]
Plane = NDArray[np.complex64]
"""Points or vectors in widths of the frame: to the right, and down as the imaginary part."""

_HYPOTHESES = 32
_REFINEMENTS = 3
# No moving object makes the rest look static by chance.
_NO_MOTION_BONUS = 1.25
# Of the weights. With less agreement there is no global motion.
_MIN_INLIER_RATIO = 0.35


@dataclass(frozen=True)
class Similarity:
    """A motion about the centre of the frame: ``shift`` in widths, and ``growth`` of the scale, whose imaginary part is
    the rotation in radians."""

    shift: complex
    growth: complex


def similarity(points: Plane, vectors: Plane, weights: Reals, tolerance: float) -> Similarity | None:
    """The motion that most vectors agree with to ``tolerance``; ``None`` if no motion fits enough of them.

    Hypotheses come from pairs of vectors (RANSAC, Fischler and Bolles 1981), always the same pairs; the best one is
    refined by least squares with weights after Geman and McClure.
    """
    errors = _hypothesis_errors(points, vectors)
    support = np.maximum(0, 1 - errors / (2 * tolerance) ** 2) @ weights
    support[0] *= _NO_MOTION_BONUS
    error = errors[int(np.argmax(support))]
    for _ in range(_REFINEMENTS):
        found = _least_squares(points, vectors, weights / np.square(1 + error / tolerance**2))
        error = _squared(vectors - found.shift - found.growth * points)
    inlier_ratio = float(weights[error < (2 * tolerance) ** 2].sum()) / float(weights.sum())
    return found if inlier_ratio >= _MIN_INLIER_RATIO else None


def _hypothesis_errors(points: Plane, vectors: Plane) -> Reals:
    """Squared errors of every vector (columns) under every hypothesis (rows), the first of which is no motion."""
    first, second = (_PAIRS * len(points)).astype(int)
    apart = points[second] - points[first]
    same = apart == 0  # the same point twice is a mere shift
    growth = np.where(same, 0, (vectors[second] - vectors[first]) / np.where(same, 1, apart))
    growth[0] = 0
    shift = vectors[first] - growth * points[first]
    shift[0] = 0
    return _squared(vectors - shift[:, None] - growth[:, None] * points)


def _least_squares(points: Plane, vectors: Plane, weights: Reals) -> Similarity:
    total = weights.sum()
    middle, mean = weights @ points / total, weights @ vectors / total
    apart = points - middle
    reach = float(weights @ _squared(apart))
    growth = complex(np.vdot(apart, weights * (vectors - mean))) / reach if reach > 0 else 0j
    return Similarity(complex(mean) - growth * complex(middle), growth)


def _squared(plane: Plane) -> Reals:
    return np.asarray(np.square(plane.real) + np.square(plane.imag))


_PAIRS = np.random.default_rng(1).random((2, _HYPOTHESES + 1))
