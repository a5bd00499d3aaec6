"""What the camera does in a shot, from how it went stride by stride. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Kinds = NDArray[np.str_]

_SLOWEST = 0.008  # widths a second, or of the scale; slower cameras are static
_STEADY = 0.015  # widths a second, root mean square; a camera that shakes more is in somebody's hand
_UNSTEADY = 1.2  # of the speed; with more shake about it no direction is sustained
_TOGETHER_SECONDS = 1.3  # before or after, with which a stride is seen together
_SPREAD = 0.33  # root mean square distance of a picture's points from its middle, in widths
_KEPT_SECONDS = 1.2  # by a direction, on average; less is to and fro
_MIN_FOLLOWED = 0.5  # of a shot's time
_WAYS = {"pan": ("left", "right"), "tilt": ("up", "down"), "zoom": ("out", "in")}


@dataclass(frozen=True)
class ShotTrajectory:
    """The strides of a shot that could be followed, one value each: see ``strides.Travel``."""

    seconds: Numbers
    across: Numbers
    down: Numbers
    zoom: Numbers
    shake: Numbers
    kinds: Kinds

    @classmethod
    def of(cls, rows: Numbers, *, height: float) -> "ShotTrajectory":
        """From rows of those values; ``height`` is the picture's, in widths."""
        seconds, across, down, zoom, shake = rows.reshape(-1, 5).T
        return cls(seconds, across, down, zoom, shake, _kinds(seconds, across, down, zoom, shake, height))

    @property
    def zoom_seconds(self) -> float:
        return float(self.seconds[self.kinds == "zoom"].sum())

    def camera(self, shot_seconds: float, *, height: float) -> dict[str, Any] | None:
        """What it does for most of the time, as a ``Camera``; ``None`` where less than half of it was followed."""
        if self.seconds.sum() <= _MIN_FOLLOWED * shot_seconds:
            return None
        movement = max(sorted(set(self.kinds)), key=lambda kind: float(self.seconds[self.kinds == kind].sum()))
        if movement not in _WAYS:
            return _standing(movement)
        chosen = self.kinds == movement
        speeds = {"pan": self.across, "tilt": self.down / height, "zoom": self.zoom}[movement][chosen]
        if _wavers(speeds, self.seconds[chosen]):
            return _standing("handheld")
        onward = bool(np.median(speeds) >= 0)
        speed = abs(_middle_mean(speeds[(speeds >= 0) == onward]))
        return {
            "movement": str(movement),
            "direction": _WAYS[movement][onward],
            "speed_percent_per_second": round(100 * speed, 1),
        }


def _standing(movement: str) -> dict[str, Any]:
    return {"movement": str(movement), "direction": None, "speed_percent_per_second": 0.0}


def _wavers(speeds: Numbers, seconds: Numbers) -> bool:
    """Whether it turns round so often that no direction is kept for long."""
    turns = np.count_nonzero(np.diff(speeds >= 0))
    return bool(turns and seconds.sum() < _KEPT_SECONDS * (turns + 1))


def _kinds(seconds: Numbers, across: Numbers, down: Numbers, zoom: Numbers, shake: Numbers, height: float) -> Kinds:
    """The movement of each stride, seen together with those before it or with those after it: with the calmer side, so
    that a move keeps its edges (Kuwahara 1976)."""
    squares = across**2 + down**2 + (_SPREAD * zoom) ** 2 + shake
    before, after = _means(np.stack([across, down, zoom, squares]), seconds)
    across, down, zoom, _squares = np.where(_unsteady(before) <= _unsteady(after), before, after)
    unsteady = np.minimum(_unsteady(before), _unsteady(after))
    speed, zoom_speed = np.hypot(across, down), np.abs(zoom)
    # Where the point that stays in its place lies in the picture, one sees a zoom; where beyond it, a pan.
    zooms = (np.abs(across) <= zoom_speed / 2) & (np.abs(down) <= height * zoom_speed / 2)
    conditions = [
        unsteady > np.maximum(_STEADY, _UNSTEADY * np.hypot(speed, _SPREAD * zoom)),
        np.maximum(speed, zoom_speed) < _SLOWEST,
        zooms,
        np.abs(across) >= np.abs(down),
    ]
    return np.select(conditions, ["handheld", "static", "zoom", "pan"], "tilt")


def _unsteady(means: Numbers) -> Numbers:
    """Root mean square of what is between velocity and its mean."""
    across, down, zoom, squares = means
    return np.asarray(np.sqrt(np.maximum(squares - across**2 - down**2 - (_SPREAD * zoom) ** 2, 0)))


def _means(values: Numbers, seconds: Numbers) -> tuple[Numbers, Numbers]:
    """Of each row, over the time up to each stride and over that from it on."""
    ends = np.concatenate([[0.0], np.cumsum(seconds)])
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values * seconds, axis=1)], axis=1)
    places = np.arange(len(seconds))
    first = np.minimum(np.searchsorted(ends, ends[1:] - _TOGETHER_SECONDS), places)
    last = np.maximum(np.searchsorted(ends, ends[:-1] + _TOGETHER_SECONDS, "right") - 1, places + 1)
    before = (sums[:, places + 1] - sums[:, first]) / (ends[places + 1] - ends[first])
    after = (sums[:, last] - sums[:, places]) / (ends[last] - ends[places])
    return before, after


def _middle_mean(values: Numbers) -> float:
    """Of the middle half, so that single errors do not count."""
    cut = len(values) // 4
    return float(np.sort(values)[cut : len(values) - cut].mean())
