"""Moments at even steps, of which each shows one frame: samples that weigh as much as what they show is displayed."""

import math

from clipzy_worker.analysers.base import Frame

# Of a step: a frame that begins at a moment, but for rounding, is displayed at it.
_ROUNDING = 1e-6


class DisplayMoments:
    """The moments ``start``, ``start + step``, … in seconds; without ``start_seconds`` from the first frame on.

    Takes every frame in order. As many moments fall upon a frame as its display lasts, whatever the number of frames,
    so that the same film has the same samples at a variable and at a constant rate.
    """

    def __init__(self, step_seconds: float, *, start_seconds: float | None = None) -> None:
        self._step_seconds, self._start_seconds = step_seconds, start_seconds
        self._passed = 0

    def within(self, frame: Frame) -> range:
        """The numbers of the moments at which this frame is displayed."""
        if self._start_seconds is None:
            self._start_seconds = frame.seconds
        steps = (frame.until_seconds - self._start_seconds) / self._step_seconds
        begin, self._passed = self._passed, max(math.ceil(steps - _ROUNDING), self._passed)
        return range(begin, self._passed)
