"""One demux pass over a file: every frame of the video once, in order, with its time; audio packets on the way."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import av.error
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from clipzy_worker.analysis.audio_end import AudioEnd
from clipzy_worker.analysis.audio_pass import AudioPass
from clipzy_worker.analysis.timings import StageTimer
from clipzy_worker.analysis.video_clock import VideoClock
from clipzy_worker.decode.frame_index import FrameIndex
from clipzy_worker.decode.input_limits import check_frame_rate
from clipzy_worker.decode.source import Source, check_readable, too_long
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaLimits

# About 40 s of audio before the first frame. Then the header is believed about where the clock starts.
_MAX_EARLY_AUDIO_PACKETS = 2000
# Encoders of audio fill their last frame with silence.
_AUDIO_PADDING_SECONDS = Fraction(1, 10)


@dataclass(frozen=True)
class DisplayedFrame:
    """A decoded frame and when a player shows it, in seconds of the player's clock; these are exact."""

    seconds: Fraction
    until_seconds: Fraction
    decoded: VideoFrame


class DemuxPass:
    """Iterates over the frames of the video, whose times always rise. The audio packets in between go to ``audio``.

    Time 0 is where a player's clock starts: at ``Source.start``, or with a frame that comes before it. A frame is
    displayed until the next one, the last for as long as the file says.

    Damage is skipped where decoding can go on: ``damaged_packets`` counts it, and ``cut_short`` means that the file
    could not be read to its end. ``fraction`` is the progress from 0 to 1. ``video_end_seconds`` and, after the
    iteration, ``end_seconds``, which is that of the audio if it ends later, are where the presentation ends. ``index``
    is filled on the way, for those who decode frames again.

    Raises:
        InvalidMedia: the file goes on past the longest duration that is allowed, has too many frames in its time, or
            there is too much to decode.
        MemoryError: there is not enough memory for the frames.
        StorageUnavailable: the file can no longer be read.
    """

    def __init__(
        self,
        source: Source,
        *,
        limits: MediaLimits,
        audio: AudioPass | None,
        timer: StageTimer,
        index: FrameIndex | None = None,
    ) -> None:
        self._source, self._timer = source, timer
        self._audio, self._index = audio, index
        self._limits = limits
        self._clock = VideoClock(source)
        self._early: list[Packet[AudioStream]] = []
        self._last: tuple[Fraction, VideoFrame] | None = None
        self._position_bytes = 0
        self._audio_end = AudioEnd(source.presented_audio, not_after=source.start + limits.max_duration_seconds)
        self._declared_seconds = source.declared_seconds
        self.damaged_packets = 0
        self.cut_short = False

    def __iter__(self) -> Iterator[DisplayedFrame]:
        for packet in self._packets():
            for decoded in self._decoded(packet):
                yield from self._displayed(decoded)
        yield from self._displayed(None)
        if self._index is not None:
            self._index.finish(zero=self.zero, end_seconds=float(self._last_frame_end_seconds))
        check_frame_rate(self._clock.frames, float(self._clock.frames * self._clock.step_seconds), self._limits)
        if self._audio is not None:
            self._drain_early_packets(self._audio)
            self._audio.flush()
        self._check_duration(self.end_seconds)

    @property
    def video_end_seconds(self) -> Fraction:
        return self._clock.end_seconds

    @property
    def end_seconds(self) -> Fraction:
        audio_end = self._audio_end.of_clock
        return max(self.video_end_seconds, audio_end - self.zero if audio_end is not None else Fraction(0))

    @property
    def _last_frame_end_seconds(self) -> Fraction:
        """Until when a player shows the last frame: audio may go on."""
        is_longer = self.end_seconds - self.video_end_seconds > _AUDIO_PADDING_SECONDS
        return self.end_seconds if is_longer else self.video_end_seconds

    @property
    def zero(self) -> Fraction:
        """Time 0 on the container's clock, which is certain after the first frame."""
        return self._clock.zero

    @property
    def fraction(self) -> float:
        declared = self._declared_seconds
        read = self._position_bytes / self._source.size_bytes
        return min(float(self._clock.last_seconds) / declared if declared else read, 1.0)

    def _packets(self) -> Iterator["Packet[VideoStream] | None"]:
        try:
            for packet in self._source.packets(self._source.presented_tracks):
                self._position_bytes = max(self._position_bytes, packet.pos or 0)
                if packet.stream is self._source.video:
                    yield cast("Packet[VideoStream]", packet)
                elif packet.size:  # the audio pass flushes its decoder itself
                    self._take_audio(cast("Packet[AudioStream]", packet))
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                check_readable(self._source.path)
            self.cut_short = True
            yield None  # flushes the decoder

    def _take_audio(self, packet: "Packet[AudioStream]") -> None:
        self._audio_end.add(packet)
        if self._audio is not None:
            self._early.append(packet)
            self._drain_early_packets(self._audio)

    def _drain_early_packets(self, audio: AudioPass) -> None:
        """Audio packets wait until time 0 is known: it is not later than the first frame that can be decoded."""
        if not self._clock.frames and len(self._early) < _MAX_EARLY_AUDIO_PACKETS:
            return
        audio.set_origin(self._clock.settled_zero())
        for packet in self._early:
            audio.process(packet)
        self._early.clear()

    def _decoded(self, packet: "Packet[VideoStream] | None") -> list[VideoFrame]:
        try:
            self._clock.prepare(packet)
            with self._timer.charged("decode"):
                return self._source.video.codec_context.decode(packet)
        except av.error.EOFError:
            return []  # it was flushed before
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise  # the frame size has been checked: the limit of this process is at fault
            self.damaged_packets += 1
            return []

    def _displayed(self, decoded: VideoFrame | None) -> Iterator[DisplayedFrame]:
        """The frame before this one, since its end is known now; ``None`` stands for the end of the video."""
        last, self._last = self._last, None
        if decoded is not None:
            self._last = self._clock.time_of(decoded), decoded
            self._check_duration(self._last[0])
            if self._index is not None:
                self._index.add(float(self._last[0]), decoded.pts)
        if last is not None:
            yield DisplayedFrame(last[0], self._last[0] if self._last else self.video_end_seconds, last[1])

    def _check_duration(self, seconds: Fraction) -> None:
        if seconds > self._limits.max_duration_seconds:
            raise InvalidMedia(too_long(self._limits))
