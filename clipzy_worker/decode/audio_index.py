"""Where the audio's frames are on the timeline: filled by what decodes the whole track, read by what begins in its
middle."""

from array import array
from bisect import bisect_right
from dataclasses import dataclass

_STEP_SECONDS = 1.0


@dataclass(frozen=True)
class AudioPlace:
    """A frame by its timestamp: its first ``sample`` and ``seconds`` are counted from the beginning of the video.

    Timestamps are rounded, in Matroska to milliseconds. Its place is exact, as it follows from all frames before.
    """

    stamp: int
    sample: int
    seconds: float


class AudioIndex:
    """The place of one frame a second, 24 bytes each; ``channels`` is the most that any frame has, 0 without audio, and
    ``last_seconds`` where the last frame begins.

    It has none from where a timestamp goes back: it may be that of several frames.
    """

    def __init__(self) -> None:
        self.channels = 0
        self.last_seconds = 0.0
        self._stamps, self._samples, self._seconds = array("q"), array("q"), array("d")
        self._last_stamp: int | None = None
        self._is_rising = True

    def add(self, stamp: int | None, *, sample: int, seconds: float, channels: int) -> None:
        """The next frame."""
        self.channels, self.last_seconds = max(self.channels, channels), seconds
        if stamp is None or not self._is_rising:
            return
        if self._last_stamp is not None and stamp <= self._last_stamp:
            self._forget()
            return
        self._last_stamp = stamp
        if not self._seconds or seconds >= self._seconds[-1] + _STEP_SECONDS:
            self._stamps.append(stamp)
            self._samples.append(sample)
            self._seconds.append(seconds)

    def before(self, seconds: float) -> AudioPlace | None:
        """The last place that is not later; ``None`` if only the beginning of the file is known to be earlier."""
        found = bisect_right(self._seconds, seconds) - 1
        if found < 1:
            return None
        return AudioPlace(self._stamps[found], self._samples[found], self._seconds[found])

    def _forget(self) -> None:
        self._is_rising = False
        for values in (self._stamps, self._samples, self._seconds):
            del values[:]
