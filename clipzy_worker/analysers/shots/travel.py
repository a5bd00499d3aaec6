"""Whether a picture changes because the camera travels: past a roadside, or up a house."""

from collections import deque
from itertools import pairwise

from clipzy_worker.analysers.base import Frame
from clipzy_worker.analysers.shots.same_view import View, movement_between

_STEP_SECONDS = 0.1
_KEPT_SECONDS = 6.0
# Of the frame's width or height. In a dissolve, cameras that move along are lost before they come so far.
_MIN_TRAVEL_RATIO = 0.3
_MIN_EXPLAINED_RATIO = 0.75


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
        """Whether the view can be followed step by step from one time to the other, and goes far."""
        views = [view for seconds, view in self._views if first - _STEP_SECONDS <= seconds <= last + _STEP_SECONDS]
        across = down = 0.0
        for one, other in pairwise(views):
            step = movement_between(one, other)
            if step.explained < _MIN_EXPLAINED_RATIO:
                return False
            across, down = across + step.across / one.width, down + step.down / one.height
        return max(abs(across), abs(down)) >= _MIN_TRAVEL_RATIO
