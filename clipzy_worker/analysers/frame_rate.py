"""How fast the pictures follow each other, from the times they really have."""

from fractions import Fraction

_JITTER_SECONDS = Fraction(2, 1000)  # containers that count in milliseconds round every time
_AGREEMENT = Fraction(1, 1000)


class FrameRateEstimator:
    """Collects the times of all frames in a few numbers."""

    def __init__(self) -> None:
        self.frames = 0
        self._last = Fraction(0)
        self._shortest: Fraction | None = None
        self._longest = Fraction(0)

    def add(self, seconds: Fraction) -> None:
        if self.frames:
            step = seconds - self._last
            self._shortest = step if self._shortest is None else min(self._shortest, step)
            self._longest = max(self._longest, step)
        self._last = seconds
        self.frames += 1

    def frame_rate(self, *, declared: Fraction | None, end_seconds: Fraction) -> float:
        """Frames a second: the declared rate where the times bear it out, else the real average."""
        if self._shortest is None:
            return float(declared or 1 / end_seconds)
        steady = self._longest - self._shortest <= _JITTER_SECONDS
        if not steady:
            return float(self.frames / end_seconds)
        measured = (self.frames - 1) / self._last
        agrees = declared is not None and abs(declared - measured) <= measured * _AGREEMENT
        return float(declared if agrees and declared is not None else measured)
