"""One demux pass over a file: every frame of the video once, in order, with its time; audio packets on the way."""

from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av.error
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from clipzy_worker.analysis.audio_pass import AudioPass
from clipzy_worker.decode.source import Source, check_readable, too_long
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaLimits

_FALLBACK_FRAME_RATE = Fraction(25)
# About 40 s of audio before the first frame. Then the header is believed about when the video begins.
_MAX_EARLY_AUDIO_PACKETS = 2000


class DemuxPass:
    """Iterates over ``(seconds, frame)``; seconds are exact, begin at 0 and always rise. The audio packets in between
    are passed to ``audio``.

    Damage is skipped where decoding can go on: ``damaged_packets`` counts it, and ``cut_short`` means that the file
    could not be read to its end. ``fraction`` is the progress from 0 to 1.

    Raises:
        InvalidMedia: the frames go on past the longest duration that is allowed, or there is too much to decode.
        MemoryError: there is not enough memory for the frames.
        StorageUnavailable: the file can no longer be read.
    """

    def __init__(self, source: Source, *, limits: MediaLimits, audio: AudioPass | None) -> None:
        self._source = source
        self._audio = audio
        self._limits = limits
        self._first: Fraction | None = None
        self._early: list[Packet[AudioStream]] = []
        self._last: Fraction | None = None
        self._position_bytes = 0
        self._step = 1 / Fraction(source.video.guessed_rate or _FALLBACK_FRAME_RATE)
        self.end_seconds = Fraction(0)
        self.damaged_packets = 0
        self.cut_short = False

    def __iter__(self) -> Iterator[tuple[Fraction, VideoFrame]]:
        for packet in self._packets():
            for frame in self._decoded(packet):
                seconds = self._time_of(frame)
                if self.end_seconds > self._limits.max_duration_seconds:
                    raise InvalidMedia(too_long(self._limits))
                yield seconds, frame
        if self._audio is not None:
            self._drain_early_packets(self._audio)

    @property
    def fraction(self) -> float:
        declared = self._source.declared_seconds
        done = float(self.end_seconds) / declared if declared else self._position_bytes / self._source.size_bytes
        return min(done, 1.0)

    def _packets(self) -> Iterator["Packet[VideoStream] | None"]:
        try:
            for packet in self._source.packets(self._tracks()):
                self._position_bytes = max(self._position_bytes, packet.pos or 0)
                if self._audio is None or packet.stream is self._source.video:
                    yield cast("Packet[VideoStream]", packet)
                elif packet.size:  # the audio pass flushes its decoder itself
                    self._early.append(cast("Packet[AudioStream]", packet))
                    self._drain_early_packets(self._audio)
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                check_readable(self._source.path)
            self.cut_short = True
            yield None  # flushes the decoder

    def _drain_early_packets(self, audio: AudioPass) -> None:
        """Audio packets wait until it is known when the video begins: with the first frame that can be decoded."""
        if self._first is None and len(self._early) < _MAX_EARLY_AUDIO_PACKETS:
            return
        if self._first is not None:
            audio.set_origin(self._first)
        for packet in self._early:
            audio.process(packet)
        self._early.clear()

    def _tracks(self) -> list[Stream]:
        return [self._source.video, *([self._audio.stream] if self._audio else [])]

    def _decoded(self, packet: "Packet[VideoStream] | None") -> list[VideoFrame]:
        try:
            return self._source.video.codec_context.decode(packet)
        except av.error.EOFError:
            return []  # it was flushed before
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise  # the frame size has been checked: the limit of this process is at fault
            self.damaged_packets += 1
            return []

    def _time_of(self, frame: VideoFrame) -> Fraction:
        """The frame's time; one without a usable timestamp follows the last by one step."""
        stamp = frame.pts if frame.pts is not None else frame.dts
        at = stamp * Fraction(frame.time_base) if stamp is not None and frame.time_base else None
        if self._last is not None and (at is None or at <= self._last):
            at = self._last + self._step
        at = at or Fraction(0)
        self._first = at if self._first is None else self._first
        self._last = at
        duration = frame.duration * Fraction(frame.time_base) if frame.duration and frame.time_base else self._step
        self.end_seconds = at - self._first + duration
        return at - self._first
