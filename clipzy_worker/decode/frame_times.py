"""When frames are displayed, in seconds of the container's clock."""

from fractions import Fraction
from typing import TYPE_CHECKING

from av.packet import Packet
from av.video.frame import VideoFrame

from clipzy_worker.decode.source import Source

if TYPE_CHECKING:
    from av.video.stream import VideoStream

# In the others a frame is held back by one at most. There the B-frames behind a key frame in the middle of the file are
# displayed before it, and left out if decoding begins there.
_REORDERED_FAR = ("h264", "hevc")


class FrameTimes:
    """The timestamps of the frames that a decoder returns, in order. ``prepare`` each packet before it is decoded.

    AVI only numbers its packets, in the order in which they are decoded. FFmpeg's presentation times for it are
    guesses, and with B-frames those of H.264 go back. There the frames take the places of the packets one after the
    other, and the first frame has the place of its own packet, however long the decoder held it back, but none before
    ``start``.
    """

    def __init__(self, source: Source) -> None:
        self._only_numbered, self._start = source.only_numbers_frames, source.start
        self._tick = Fraction(source.video.time_base or 0)
        self._most_held_back = None if source.video_codec in _REORDERED_FAR else 1
        self._held_back: int | None = None
        self._place_before: int | None = None

    def prepare(self, packet: "Packet[VideoStream] | None") -> None:
        if self._only_numbered and packet is not None:
            packet.pts = packet.dts

    def of(self, frame: VideoFrame) -> Fraction | None:
        """``None`` if it is not known: the frame follows the one before then."""
        presented = frame.pts if frame.pts is not None else frame.dts
        stamp = self._place(frame) if self._only_numbered else presented
        if stamp is None or not self._tick:
            return None
        at = Fraction(stamp * self._tick.numerator, self._tick.denominator)  # faster than a product
        return max(at, self._start) if self._only_numbered else at

    def _place(self, frame: VideoFrame) -> int | None:
        if frame.dts is not None:  # that of the packet with which the decoder returned this frame
            self._place_before = frame.dts - self._held_back_by(frame)
        elif self._place_before is not None:  # the decoder returned it after the last packet
            self._place_before += 1
        return self._place_before

    def _held_back_by(self, frame: VideoFrame) -> int:
        if self._held_back is None:
            held_back = max((frame.dts or 0) - frame.pts, 0) if frame.pts is not None else 0
            self._held_back = held_back if self._most_held_back is None else min(held_back, self._most_held_back)
        return self._held_back
