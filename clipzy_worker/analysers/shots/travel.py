"""Whether a picture changes because the camera travels: past a roadside, or up a house."""

from collections import deque
from itertools import pairwise

import numpy as np

from clipzy_worker.analysers.base import Frame
from clipzy_worker.analysers.shots.same_view import View, movement_between

_STEP_SECONDS = 0.1
# What travels during a change, travels before and after it. In a dissolve the two scenes seldom move alike.
_MARGIN_SECONDS = 0.5
_KEPT_SECONDS = 6.0
# Of the frame's width or height in a second: the median of all steps, of which so many go the same way.
_MIN_SPEED = 0.16
_MIN_SAME_WAY_RATIO = 0.78
_MIN_STEPS = 5


class Travel:
    """Holds a small view for each tenth of a second."""

    def __init__(self) -> None:
        self._views: deque[tuple[float, View]] = deque()

    def add(self, frame: Frame) -> None:
        if self._views and frame.seconds - self._views[-1][0] < _STEP_SECONDS:
            return
        self._views.append((frame.seconds, View(frame.small_luma)))
        while frame.seconds - self._views[0][0] > _KEPT_SECONDS:
            self._views.popleft()

    def explains(self, first: float, last: float) -> bool:
        """Whether the view moves on in one direction from before the first time until after the last."""
        near = [at for at in self._views if first - _MARGIN_SECONDS <= at[0] <= last + _MARGIN_SECONDS]
        if len(near) <= _MIN_STEPS:
            return False
        moved = [movement_between(one, other) for (_, one), (_, other) in pairwise(near)]
        sizes = np.array([[step.across / View.width, step.down / View.height] for step in moved])
        speeds = sizes / np.diff([seconds for seconds, _view in near])[:, None]
        median = np.median(speeds, axis=0)
        axis = int(np.abs(median).argmax())
        same_way = np.sign(speeds[:, axis]) == np.sign(median[axis])
        return bool(abs(median[axis]) >= _MIN_SPEED and same_way.mean() >= _MIN_SAME_WAY_RATIO)
