"""The frame rate, from the timestamps of the frames."""

from fractions import Fraction

# Containers with millisecond timestamps round every one.
_JITTER_SECONDS = Fraction(2, 1000)
_MAX_DEVIATION_RATIO = Fraction(1, 1000)


class FrameRateEstimator:
    """Takes the time of every frame; memory does not grow."""

    def __init__(self) -> None:
        self.frames = 0
        self._first = self._last = Fraction(0)
        self._shortest: Fraction | None = None
        self._longest = Fraction(0)

    def add(self, seconds: Fraction) -> None:
        if self.frames:
            step = seconds - self._last
            self._shortest = step if self._shortest is None else min(self._shortest, step)
            self._longest = max(self._longest, step)
        else:
            self._first = seconds
        self._last = seconds
        self.frames += 1

    def frame_rate(self, *, declared: Fraction | None, end_seconds: Fraction) -> float:
        """Frames per second: the declared rate if the timestamps confirm it, else the measured average.

        The last frame ends at ``end_seconds``.
        """
        if self._shortest is None:
            return float(declared or 1 / (end_seconds - self._first))
        steady = self._longest - self._shortest <= _JITTER_SECONDS
        if not steady:
            return float(self.frames / (end_seconds - self._first))
        measured = (self.frames - 1) / (self._last - self._first)
        agrees = declared is not None and abs(declared - measured) <= measured * _MAX_DEVIATION_RATIO
        return float(declared if agrees and declared is not None else measured)
