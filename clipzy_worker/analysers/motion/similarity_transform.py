"""The one movement of a whole picture that explains most of what its points do, whatever the others do. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float32]
Plane = NDArray[
    np.complex64
]  # points or vectors in widths of the picture: to the right, and down as the imaginary part

_HYPOTHESES = 32
_ROUNDS = 3
_STILL_BONUS = 1.25  # nothing that passes in front makes the rest look still by chance
_MIN_AGREEING = 0.35  # of the weights; with less, there is no movement of the whole


@dataclass(frozen=True)
class Similarity:
    """A movement about the picture's middle: ``shift`` in widths of the picture; ``growth`` of its scale as the real
    part, 0 where nothing grows, and its turning in radians as the imaginary part."""

    shift: complex
    growth: complex


def similarity(points: Plane, vectors: Plane, weights: Reals, tolerance: float) -> Similarity | None:
    """What most of the vectors agree with, to ``tolerance``; ``None`` where no movement explains enough of them.

    Pairs of vectors propose movements (RANSAC, Fischler and Bolles 1981), always the same pairs; the best is refined
    by least squares with weights after Geman and McClure.
    """
    misses = _proposed_misses(points, vectors)
    support = np.maximum(0, 1 - misses / (2 * tolerance) ** 2) @ weights
    support[0] *= _STILL_BONUS
    miss = misses[int(np.argmax(support))]
    for _round in range(_ROUNDS):
        found = _least_squares(points, vectors, weights / np.square(1 + miss / tolerance**2))
        miss = _squared(vectors - found.shift - found.growth * points)
    agreeing = float(weights[miss < (2 * tolerance) ** 2].sum()) / float(weights.sum())
    return found if agreeing >= _MIN_AGREEING else None


def _proposed_misses(points: Plane, vectors: Plane) -> Reals:
    """Squared misses of every vector (columns) under every proposed movement (rows), the first of which is none."""
    first, second = (_PAIRS * len(points)).astype(int)
    apart = points[second] - points[first]
    same = apart == 0  # the same point twice proposes a mere shift
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
