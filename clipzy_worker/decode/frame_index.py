"""When each frame of the video is displayed: filled by the analysis, read by what decodes the video again."""

from array import array
from bisect import bisect_right
from fractions import Fraction

# Times are rounded: a frame that begins at a moment, but for that, is displayed at it.
_ROUNDING_SECONDS = 1e-6
# Matroska and AVI count milliseconds, or whole frames.
_CONSTANT_TOLERANCE_SECONDS = 0.0011


class FrameIndex:
    """The times of all frames in order, in seconds of the player's clock; 8 bytes a frame.

    ``zero`` is time 0 of it on the container's clock, and ``end_seconds`` where the display of the last frame ends.
    """

    def __init__(self) -> None:
        self.zero = Fraction(0)
        self.end_seconds = 0.0
        self._seconds = array("d")

    def __len__(self) -> int:
        return len(self._seconds)

    def add(self, seconds: float) -> None:
        """The next frame; its time is later than that of the one before."""
        self._seconds.append(seconds)

    def finish(self, *, zero: Fraction, end_seconds: float) -> None:
        self.zero, self.end_seconds = zero, end_seconds

    def seconds_of(self, frame: int) -> float:
        """When a frame is first displayed; ``end_seconds`` for the one after the last."""
        return self._seconds[frame] if frame < len(self) else self.end_seconds

    def frame_at(self, seconds: float) -> int:
        """The frame that is displayed at a time; the first one also before it, and the last one also after it."""
        return max(bisect_right(self._seconds, seconds + _ROUNDING_SECONDS) - 1, 0)

    def frames_of(self, start_seconds: float, end_seconds: float) -> range:
        """The frames that are displayed in a section, up to but without ``end_seconds``. Empty outside of the video."""
        if not len(self) or start_seconds >= self.end_seconds - _ROUNDING_SECONDS:
            return range(0)
        first, after = self.frame_at(start_seconds), self.frame_at(end_seconds)
        is_shown_at_end = self._seconds[after] < end_seconds - _ROUNDING_SECONDS
        return range(first, after + 1 if is_shown_at_end else after)

    def is_constant(self, rate: Fraction) -> bool:
        """Whether the frames follow each other at this rate, but for the rounding of their times."""
        first, step_seconds = self.seconds_of(0), float(1 / rate)
        return all(
            abs(seconds - first - number * step_seconds) <= _CONSTANT_TOLERANCE_SECONDS
            for number, seconds in enumerate(self._seconds)
        )
