"""Whether cuts fall on beats. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

NEAR_SECONDS = 0.1
MIN_CUTS = 4  # fewer fall where they will
MIN_BEATS = 4


def beat_sync(cuts: Sequence[float], beats: Sequence[float]) -> float | None:
    """Share of the cuts within 100 ms of a beat, above what chance would give: 0 is chance or less, 1 is all of them.

    Only cuts between the first and the last beat count. ``None`` where there are too few of either, or where beats
    come so fast that every moment is near one.
    """
    if len(beats) < MIN_BEATS:
        return None
    inside = [cut for cut in cuts if beats[0] - NEAR_SECONDS <= cut <= beats[-1] + NEAR_SECONDS]
    chance = _share_near(beats)
    if len(inside) < MIN_CUTS or chance > 0.9:
        return None
    hits = sum(_distance(cut, beats) <= NEAR_SECONDS for cut in inside) / len(inside)
    return round(max((hits - chance) / (1 - chance), 0.0), 3)


def _share_near(beats: Sequence[float]) -> float:
    """Which share of the time between the first beat and the last lies near one."""
    near = sum(min(later - earlier, 2 * NEAR_SECONDS) for earlier, later in pairwise(beats))
    return (near + 2 * NEAR_SECONDS) / (beats[-1] - beats[0] + 2 * NEAR_SECONDS)


def _distance(moment: float, beats: Sequence[float]) -> float:
    place = bisect_left(beats, moment)
    return min(abs(beat - moment) for beat in beats[max(place - 1, 0) : place + 1])
