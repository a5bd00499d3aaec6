"""One pass over a file: every picture once, in order, with its time; the sound is heard on the way."""

from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av.error
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from clipzy_worker.analysis.audio_pass import Sound
from clipzy_worker.decode.source import Source, check_readable, too_long
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaLimits

_FALLBACK_RATE = Fraction(25)
_MAX_EARLY_PACKETS = 2000  # of sound before the first picture: some 40 s; then the header is believed


class Decoding:
    """Iterates over ``(seconds, frame)``; seconds are exact, begin at 0 and always rise. Packets of the sound that come
    between are given to ``sound``.

    Damage is skipped where decoding can go on: ``damaged_packets`` and ``cut_short`` say what happened.
    ``fraction`` says how far it has come, from 0 to 1.

    Raises:
        InvalidMedia: the pictures go on past the longest duration that is allowed.
        MemoryError: there is not enough of it for the pictures.
        StorageUnavailable: the file could not be read on.
    """

    def __init__(self, source: Source, *, limits: MediaLimits, size_bytes: int, sound: Sound | None) -> None:
        self._source = source
        self._sound = sound
        self._limits = limits
        self._size_bytes = max(size_bytes, 1)
        self._first: Fraction | None = None
        self._early: list[Packet[AudioStream]] = []
        self._last: Fraction | None = None
        self._position_bytes = 0
        self._step = 1 / Fraction(source.video.guessed_rate or _FALLBACK_RATE)
        self.end_seconds = Fraction(0)
        self.damaged_packets = 0
        self.cut_short = False

    def __iter__(self) -> Iterator[tuple[Fraction, VideoFrame]]:
        for packet in self._packets():
            for frame in self._decoded(packet):
                seconds = self._place(frame)
                if self.end_seconds > self._limits.max_duration_seconds:
                    raise InvalidMedia(too_long(self._limits))
                yield seconds, frame
        if self._sound is not None:
            self._let_hear(self._sound)

    @property
    def fraction(self) -> float:
        declared = self._source.declared_seconds
        done = float(self.end_seconds) / declared if declared else self._position_bytes / self._size_bytes
        return min(done, 1.0)

    def _packets(self) -> Iterator["Packet[VideoStream] | None"]:
        try:
            for packet in self._source.packets(self._tracks()):
                self._position_bytes = max(self._position_bytes, packet.pos or 0)
                if self._sound is None or packet.stream is self._source.video:
                    yield cast("Packet[VideoStream]", packet)
                elif packet.size:  # the empty one at the end is the sound's own business
                    self._early.append(cast("Packet[AudioStream]", packet))
                    self._let_hear(self._sound)
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                check_readable(self._source.path)
            self.cut_short = True
            yield None  # so that the decoder gives what it still holds

    def _let_hear(self, sound: Sound) -> None:
        """Packets wait until it is known when the film begins: with the first picture that can be decoded."""
        if self._first is None and len(self._early) < _MAX_EARLY_PACKETS:
            return
        if self._first is not None:
            sound.begins_at(self._first)
        for packet in self._early:
            sound.take(packet)
        self._early.clear()

    def _tracks(self) -> list[Stream]:
        return [self._source.video, *([self._sound.stream] if self._sound else [])]

    def _decoded(self, packet: "Packet[VideoStream] | None") -> list[VideoFrame]:
        try:
            return self._source.video.codec_context.decode(packet)
        except av.error.EOFError:
            return []  # the decoder had given all before it was asked for the rest
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise  # the picture's size has been checked: the limit of this process is at fault
            self.damaged_packets += 1
            return []

    def _place(self, frame: VideoFrame) -> Fraction:
        """The frame's time; one without a usable stamp follows the last by one step."""
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
