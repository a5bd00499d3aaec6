"""When each frame of the video is displayed, by the clock of a player."""

from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.packet import Packet
from av.video.frame import VideoFrame

from clipzy_worker.decode.frame_times import FrameTimes
from clipzy_worker.decode.input_limits import DEMUXERS
from clipzy_worker.decode.source import Source

if TYPE_CHECKING:
    from av.video.stream import VideoStream

_FALLBACK_STEP_SECONDS = Fraction(1, 25)
# Of a frame whose time is that of the one before, or a little earlier: a player shows it in its place.
_LEAST_STEP_SECONDS = Fraction(1, 1000)


class VideoClock:
    """Takes every frame in order. ``zero`` is time 0 in seconds of the container's clock.

    ``end_seconds`` is where the last frame ends. Fractions are slow: few are made of each frame.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._times = FrameTimes(source)
        self._zero_is_settled = False
        self.zero = source.start
        self.frames = 0
        self._first = self._last = self._shortest_step = Fraction(0)
        self._tick = Fraction(source.video.time_base or 0)
        self._last_ticks: int | None = None  # the duration of the last frame

    def prepare(self, packet: "Packet[VideoStream] | None") -> None:
        """Must precede the decoding of each packet."""
        self._times.prepare(packet)

    def settled_zero(self) -> Fraction:
        """``zero``, which does not change any more."""
        self._zero_is_settled = True
        return self.zero

    def time_of(self, frame: VideoFrame) -> Fraction:
        """When the frame is displayed; later than the one before."""
        at = self._times.of(frame)
        if self.frames:
            seconds = self._risen(at)
            step = seconds - self._last
            if step < self._shortest_step:
                self._shortest_step = step
        else:
            seconds = self._first = self._beginning(at)
            self._shortest_step = self.step_seconds
        self._last, self._last_ticks = seconds, frame.duration
        self.frames += 1
        return seconds

    @property
    def last_seconds(self) -> Fraction:
        """When the last frame begins."""
        return self._last

    @property
    def end_seconds(self) -> Fraction:
        return self._last + self._duration_of_last if self.frames else Fraction(0)

    @property
    def step_seconds(self) -> Fraction:
        """From one frame to the next, on average."""
        if self.frames > 1:
            return (self._last - self._first) / (self.frames - 1)
        rate = self._source.video.guessed_rate
        most = self._source.limits.max_frame_rate
        return 1 / rate if rate and rate <= most else _FALLBACK_STEP_SECONDS

    @property
    def _duration_of_last(self) -> Fraction:
        """As the file says. In Matroska FFmpeg derives a missing one from a rate that it guesses, which may be 1000."""
        duration = (self._last_ticks or 0) * self._tick
        is_guess = DEMUXERS[self._source.name] == "matroska" and duration < self._shortest_step / 2
        if not duration or is_guess:
            return self._rest_by_header or self.step_seconds
        return duration

    @property
    def _rest_by_header(self) -> Fraction | None:
        """From the beginning of the last frame to the end of the file, if that is not much longer than a frame."""
        length = self._source.container.duration
        if DEMUXERS[self._source.name] != "matroska" or not length:
            return None
        rest = Fraction(length, av.time_base) - self.zero - self._last
        return rest if 0 < rest <= 2 * self.step_seconds else None

    def _beginning(self, at: Fraction | None) -> Fraction:
        """The time of the first frame."""
        if at is not None and not self._zero_is_settled:
            self.zero = min(self.zero, at)
        self._zero_is_settled = True
        return Fraction(0) if at is None else max(at - self.zero, Fraction(0))

    def _risen(self, at: Fraction | None) -> Fraction:
        if at is None:
            return self._last + self._duration_of_last
        seconds, earliest = at - self.zero, self._last + _LEAST_STEP_SECONDS
        if seconds >= earliest:  # as of nearly every frame
            return seconds
        goes_back = max(seconds, Fraction(0)) <= self._last - self.step_seconds
        return self._last + self.step_seconds if goes_back else earliest
