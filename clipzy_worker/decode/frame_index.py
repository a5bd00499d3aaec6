"""When each frame of the video is displayed: filled by the analysis, read by what decodes the video again."""

from array import array
from bisect import bisect_right
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

# Times are rounded: a frame that begins at a moment, but for that, is displayed at it.
_ROUNDING_SECONDS = 1e-6
_NO_STAMP = -(1 << 63)


class FrameIndex:
    """The times of all frames in order, in seconds of the player's clock, and their stamps; 16 bytes a frame.

    ``zero`` is time 0 of it on the container's clock, and ``end_seconds`` where the display of the last frame ends.
    A stamp is what the decoder says of a frame, whichever frame decoding began with: by it the frame is found again.
    """

    def __init__(self) -> None:
        self.zero = Fraction(0)
        self.end_seconds = 0.0
        self._seconds = array("d")
        self._stamps = array("q")

    def __len__(self) -> int:
        return len(self._seconds)

    def add(self, seconds: float, stamp: int | None = None) -> None:
        """The next frame; its time is later than that of the one before. ``stamp`` is None if it has none."""
        self._seconds.append(seconds)
        self._stamps.append(_NO_STAMP if stamp is None else stamp)

    def finish(self, *, zero: Fraction, end_seconds: float) -> None:
        """To be called after the last frame, before anything is asked."""
        self.zero, self.end_seconds = zero, end_seconds

    def seconds_of(self, frame: int) -> float:
        """When a frame is first displayed; ``end_seconds`` for the one after the last."""
        return self._seconds[frame] if frame < len(self) else self.end_seconds

    def stamp_of(self, frame: int) -> int | None:
        """None also for the frame after the last."""
        stamp = self._stamps[frame] if frame < len(self) else _NO_STAMP
        return None if stamp == _NO_STAMP else stamp

    def frame_with(self, stamp: int | None) -> int | None:
        """The frame with this stamp; None if there is none, or more than one."""
        if stamp is None:
            return None
        ordered, frames = self._by_stamp
        first, after = (int(np.searchsorted(ordered, stamp, side)) for side in ("left", "right"))
        return int(frames[first]) if after - first == 1 else None

    @cached_property
    def _by_stamp(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The stamps in rising order, and the frame of each. Those of AVI, and of damaged files, do not rise."""
        stamps = np.array(self._stamps, dtype=np.int64)
        frames = np.argsort(stamps, kind="stable")
        return stamps[frames], frames

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
