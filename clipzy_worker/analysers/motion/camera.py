"""The camera movement in a shot, from that in its segments. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipzy_storage.models.measurements import Camera, Direction, Movement

Numbers = NDArray[np.float64]
Kinds = NDArray[np.str_]

# Widths of the frame per second, or of its scale. Slower cameras are static.
_MIN_SPEED = 0.008
# Root mean square, in widths per second. Above, the camera is handheld.
_MAX_SHAKE = 0.015
# Relative to the speed. With more shake no direction is sustained.
_MAX_SHAKE_RATIO = 1.2
# A segment is classified together with those within this time before or after it.
_CONTEXT_SECONDS = 1.3
# Root mean square distance of the points of a frame from its centre, in widths.
_POINTS_RADIUS = 0.33
# A direction that is kept for a shorter time on average is no direction.
_MIN_DIRECTION_SECONDS = 1.2
_MIN_TRACKED_RATIO = 0.5
# In the order of preference, if two take the same time.
_MOVEMENTS: tuple[Movement, ...] = ("handheld", "pan", "static", "tilt", "zoom")
# For a negative speed and for a positive one.
_DIRECTIONS: dict[Movement, tuple[Direction, Direction]] = {
    "pan": ("left", "right"),
    "tilt": ("up", "down"),
    "zoom": ("out", "in"),
}


@dataclass(frozen=True)
class ShotTrajectory:
    """The tracked segments of a shot, one value each: the fields of ``segments.CameraMotion``."""

    seconds: Numbers
    across: Numbers
    down: Numbers
    zoom: Numbers
    shake: Numbers
    kinds: Kinds

    @classmethod
    def of(cls, rows: Numbers, *, height: float) -> "ShotTrajectory":
        """From rows of those values; ``height`` is that of the frame, in widths."""
        seconds, across, down, zoom, shake = rows.reshape(-1, 5).T
        return cls(seconds, across, down, zoom, shake, _kinds(seconds, across, down, zoom, shake, height))

    @property
    def zoom_seconds(self) -> float:
        return float(self.seconds[self.kinds == "zoom"].sum())

    def camera(self, shot_seconds: float, *, height: float) -> Camera | None:
        """The movement that takes most of the time; ``None`` if less than half of the shot could be tracked."""
        if self.seconds.sum() <= _MIN_TRACKED_RATIO * shot_seconds:
            return None
        movement = max(_MOVEMENTS, key=lambda kind: float(self.seconds[self.kinds == kind].sum()))
        if movement not in _DIRECTIONS:
            return _undirected(movement)
        chosen = self.kinds == movement
        speeds = {"pan": self.across, "tilt": self.down / height, "zoom": self.zoom}[movement][chosen]
        if _wavers(speeds, self.seconds[chosen]):
            return _undirected("handheld")
        is_positive = bool(np.median(speeds) >= 0)
        speed = abs(_interquartile_mean(speeds[(speeds >= 0) == is_positive]))
        return Camera(
            movement=movement,
            direction=_DIRECTIONS[movement][is_positive],
            speed_percent_per_second=round(100 * speed, 1),
        )


def _undirected(movement: Movement) -> Camera:
    return Camera(movement=movement, direction=None, speed_percent_per_second=0.0)


def _wavers(speeds: Numbers, seconds: Numbers) -> bool:
    """Whether the direction changes so often that none is kept for long."""
    turns = np.count_nonzero(np.diff(speeds >= 0))
    return bool(turns and seconds.sum() < _MIN_DIRECTION_SECONDS * (turns + 1))


def _kinds(seconds: Numbers, across: Numbers, down: Numbers, zoom: Numbers, shake: Numbers, height: float) -> Kinds:
    """The movement of each segment, averaged with those before it or those after it: with the side that varies less, so
    that movements keep their edges (Kuwahara 1976)."""
    squares = across**2 + down**2 + (_POINTS_RADIUS * zoom) ** 2 + shake
    before, after = _means(np.stack([across, down, zoom, squares]), seconds)
    across, down, zoom, _squares = np.where(_deviation(before) <= _deviation(after), before, after)
    deviation = np.minimum(_deviation(before), _deviation(after))
    speed, zoom_speed = np.hypot(across, down), np.abs(zoom)
    # With the fixed point within the frame it is a zoom, with the fixed point outside of it a pan.
    zooms = (np.abs(across) <= zoom_speed / 2) & (np.abs(down) <= height * zoom_speed / 2)
    conditions = [
        deviation > np.maximum(_MAX_SHAKE, _MAX_SHAKE_RATIO * np.hypot(speed, _POINTS_RADIUS * zoom)),
        np.maximum(speed, zoom_speed) < _MIN_SPEED,
        zooms,
        np.abs(across) >= np.abs(down),
    ]
    return np.select(conditions, ["handheld", "static", "zoom", "pan"], "tilt")


def _deviation(means: Numbers) -> Numbers:
    """Root mean square deviation of the velocity from its mean."""
    across, down, zoom, squares = means
    return np.asarray(np.sqrt(np.maximum(squares - across**2 - down**2 - (_POINTS_RADIUS * zoom) ** 2, 0)))


def _means(values: Numbers, seconds: Numbers) -> tuple[Numbers, Numbers]:
    """The means of each row over the time up to each segment, and over the time from it on."""
    ends = np.concatenate([[0.0], np.cumsum(seconds)])
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values * seconds, axis=1)], axis=1)
    indexes = np.arange(len(seconds))
    first = np.minimum(np.searchsorted(ends, ends[1:] - _CONTEXT_SECONDS), indexes)
    last = np.maximum(np.searchsorted(ends, ends[:-1] + _CONTEXT_SECONDS, "right") - 1, indexes + 1)
    before = (sums[:, indexes + 1] - sums[:, first]) / (ends[indexes + 1] - ends[first])
    after = (sums[:, last] - sums[:, indexes]) / (ends[last] - ends[indexes])
    return before, after


def _interquartile_mean(values: Numbers) -> float:
    """Of the middle half, so that outliers do not count."""
    cut = len(values) // 4
    return float(np.sort(values)[cut : len(values) - cut].mean())
