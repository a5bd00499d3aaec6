"""The score of windows: weighted parts, times what their edges are worth. The weights are set by hand."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clipzy_storage.models.clip_options import Profile
from clipzy_storage.models.clips import PartName, ScorePart
from clipzy_worker.analysers.moments.cells import Numbers
from clipzy_worker.analysers.moments.measured import MeasuredSound

WEIGHTS: Mapping[Profile, Mapping[PartName, float]] = {
    "talk": {"speech": 40, "energy": 10, "surprise": 15, "motion": 5, "novelty": 5, "picture": 10},
    "music": {"energy": 20, "surprise": 5, "motion": 20, "novelty": 15, "picture": 15, "rhythm": 25},
    "action": {"speech": 5, "energy": 20, "surprise": 20, "motion": 25, "novelty": 15, "picture": 10},
}
"""Relative to each other; those of the parts that are measured are scaled to 1."""

CUT_SPEECH_COST, BARE_GRID_COST = 0.15, 0.05
"""Of the score, for each edge."""

STEPS_PER_POINT = 8
"""Points are whole eighths, so that their sum is exact in every language that reads them."""

_TALK_RATIO, _MUSIC_RATIO = 0.35, 0.2
_ROUNDING = 1e-6
_DECIMALS = 4


@dataclass(frozen=True)
class Scores:
    """Of each window: ``values`` from 0 to 1 and ``points`` by part, and ``totals``, the sum of the points."""

    weights: Mapping[PartName, float]
    values: Mapping[PartName, Numbers]
    points: Mapping[PartName, Numbers]
    totals: Numbers

    def parts(self, window: int) -> list[ScorePart]:
        return [
            ScorePart(
                name=name,
                value=round(float(self.values[name][window]), _DECIMALS),
                weight=round(weight, _DECIMALS),
                points=float(self.points[name][window]),
            )
            for name, weight in self.weights.items()
        ]


def profile_of(sound: MeasuredSound | None) -> Profile:
    """The profile that ``auto`` takes."""
    if sound is not None and sound.speech_ratio >= _TALK_RATIO:
        return "talk"
    if sound is not None and sound.is_steady and sound.speech_ratio < _MUSIC_RATIO:
        return "music"
    return "action"


def scores(profile: Profile, values: Mapping[PartName, Numbers], edges: Numbers) -> Scores:
    """``edges`` is what the edges of each window are worth, 1 at most. Without any value of the profile all are 0."""
    weights = {name: float(weight) for name, weight in WEIGHTS[profile].items() if name in values}
    total = sum(weights.values())
    weights = {name: weight / total for name, weight in weights.items()}
    points = {name: _rounded(100 * weight * values[name] * edges) for name, weight in weights.items()}
    return Scores(weights, values, points, np.sum([*points.values()], axis=0) if points else np.zeros(len(edges)))


def _rounded(points: Numbers) -> Numbers:
    """Down, so that no sum exceeds 100."""
    return np.floor(points * STEPS_PER_POINT + _ROUNDING) / STEPS_PER_POINT
