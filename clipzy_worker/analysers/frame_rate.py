"""The frame rate, from the timestamps of the frames."""

from fractions import Fraction

# Containers with millisecond timestamps round every one.
_JITTER_SECONDS = Fraction(2, 1000)
_ROUNDING_SECONDS = Fraction(1, 1000)
_MAX_DEVIATION_RATIO = Fraction(1, 1000)


class FrameRateEstimator:
    """Takes the time of every frame; memory does not grow."""

    def __init__(self) -> None:
        self.frames = 0
        self._first = self._last = self._step = Fraction(0)
        self._shortest: Fraction | None = None
        self._longest = Fraction(0)

    def add(self, seconds: Fraction) -> None:
        if self.frames:
            step = seconds - self._last
            if step != self._step:  # comparing all is slow
                self._shortest = step if self._shortest is None else min(self._shortest, step)
                self._longest, self._step = max(self._longest, step), step
        else:
            self._first = seconds
        self._last = seconds
        self.frames += 1

    def frame_rate(self, *, declared: Fraction | None, end_seconds: Fraction) -> float:
        """Frames per second: the declared rate if the timestamps confirm it, else the measured one, or the usual rate
        from which it does not differ by more than rounded timestamps do; the average if the steps are uneven.

        The last frame ends at ``end_seconds``.
        """
        if self._shortest is None:
            displayed_seconds = end_seconds - self._first
            agrees = declared is not None and abs(1 / declared - displayed_seconds) <= _ROUNDING_SECONDS
            return float(declared if agrees and declared is not None else 1 / displayed_seconds)
        steady = self._longest - self._shortest <= _JITTER_SECONDS
        if not steady:
            return float(self.frames / (end_seconds - self._first))
        elapsed_seconds = self._last - self._first
        measured = (self.frames - 1) / elapsed_seconds
        if declared is not None and abs(declared - measured) <= measured * _MAX_DEVIATION_RATIO:
            return float(declared)
        rounded = self._longest > self._shortest
        usual = min(_usual_rates(measured), key=lambda rate: abs(rate - measured))
        within = abs(usual - measured) <= measured * _ROUNDING_SECONDS / elapsed_seconds
        return float(usual if rounded and within else measured)


def _usual_rates(near: Fraction) -> tuple[Fraction, Fraction]:
    """A whole number, and one of the kind of 29.97."""
    whole = max(round(near), 1)
    return Fraction(whole), Fraction(whole * 1000, 1001)
