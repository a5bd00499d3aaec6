"""Writes MP4 files that begin to play before they are loaded: pictures encoded or copied, and sound encoded once."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import av.container
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from clipzy_storage.models.clip_options import VideoCodec
from clipzy_worker.analysers.base import Pixels
from clipzy_worker.render.encoder import TAGS, VideoFormat, add_video
from clipzy_worker.render.small_grey import small_grey

SOUND_RATE_HZ = 48_000
_SOUND_BITS_PER_SECOND = 160_000
_SAMPLES_PER_FRAME = 1024
_TICK = Fraction(1, SOUND_RATE_HZ)
# Edit lists count in the unit of the whole file. In its default of milliseconds the sound would lose its last samples.
_OPTIONS = {"movflags": "+faststart", "movie_timescale": str(SOUND_RATE_HZ), "fflags": "+bitexact"}

Samples = NDArray[np.float32]


@dataclass
class Written:
    """What a file was given, for its verification. ``end_seconds`` is where the last picture ends.

    ``first`` and ``last`` are small grey copies of these pictures, before they were encoded.
    """

    codec: VideoCodec
    size: tuple[int, int]
    has_sound: bool
    pictures: int = 0
    samples: int = 0
    end_seconds: Fraction = Fraction(0)
    first: Pixels | None = None
    last: Pixels | None = None


class Mp4Writer:
    """A context manager. ``picture`` and ``sound`` may be called in any order, but memory stays constant only if both
    follow the time. Leaving the block finishes the file, and ``written``; if that was by an error, both are of no use.

    Without ``copies`` pictures are encoded. ``copies`` is the track of a file of the same format, whose packets are
    taken instead.

    Raises ``OSError`` if the file cannot be written, and ``FFmpegError`` if something cannot be encoded.
    """

    def __init__(
        self,
        path: Path,
        video: VideoFormat,
        *,
        has_sound: bool,
        threads: int = 1,
        copies: VideoStream | None = None,
    ) -> None:
        self.written = Written(video.codec, (video.width, video.height), has_sound)
        self._container = av.open(str(path), "w", format="mp4", options=_OPTIONS)
        if copies is None:
            self._video = add_video(self._container, video, threads=threads)
        else:
            self._video = self._container.add_stream_from_template(copies, opaque=True)
            self._video.codec_context.codec_tag = TAGS[video.codec]
        self._sound = _SoundTrack(self._container) if has_sound else None
        self._time_base = video.time_base
        self._durations: dict[int, int] = {}
        self._last: VideoFrame | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._container.close()

    def picture(self, frame: VideoFrame, *, pts: int, duration: int) -> None:
        """Encode the next picture, which is shown from ``pts`` on; both are in units of the format's time base."""
        frame.pts, frame.time_base = pts, self._time_base
        frame.pict_type = 0  # the encoder chooses; a decoded frame tells what it was
        self._durations[pts] = duration
        self._mux_encoded(self._video.codec_context.encode(frame))
        if not self.written.pictures:
            self.written.first = small_grey(frame)
        self._last = frame
        self._count(pts, duration, self._time_base)

    def copied(self, packet: "Packet[Any]") -> None:
        """Write the next packet of a track like ``copies``, in the order of decoding."""
        self._count(packet.pts or 0, packet.duration or 0, Fraction(packet.time_base))
        packet.stream = self._video
        self._container.mux(packet)

    def sound(self, samples: Samples) -> None:
        """Encode the next samples, stereo at ``SOUND_RATE_HZ``, of shape (2, n)."""
        if self._sound is not None:
            self.written.samples += samples.shape[1]
            self._container.mux(self._sound.encoded(samples))

    def _count(self, pts: int, duration: int, time_base: Fraction) -> None:
        self.written.pictures += 1
        self.written.end_seconds = max(self.written.end_seconds, (pts + duration) * time_base)

    def _flush(self) -> None:
        if self._last is not None:
            self.written.last = small_grey(self._last)
            self._mux_encoded(self._video.codec_context.encode(None))
        if self._sound is not None:
            self._container.mux(self._sound.flushed())

    def _mux_encoded(self, packets: "list[Packet[Any]]") -> None:
        for packet in packets:
            packet.stream = self._video
            packet.duration = self._durations.pop(packet.pts or 0)
            self._container.mux(packet)


class _SoundTrack:
    """Cuts samples into the frames that the encoder takes; only the last one is shorter."""

    def __init__(self, container: av.container.OutputContainer) -> None:
        self._track: AudioStream = container.add_stream("aac", rate=SOUND_RATE_HZ, options={"flags": "+bitexact"})
        encoder = self._track.codec_context
        encoder.layout, encoder.bit_rate, encoder.time_base = "stereo", _SOUND_BITS_PER_SECOND, _TICK
        self._waiting: Samples = np.zeros((2, 0), np.float32)
        self._at = 0

    def encoded(self, samples: Samples) -> "list[Packet[Any]]":
        self._waiting = np.concatenate((self._waiting, samples), axis=1)
        packets = []
        while self._waiting.shape[1] >= _SAMPLES_PER_FRAME:
            packets += self._encode(self._waiting[:, :_SAMPLES_PER_FRAME])
            self._waiting = self._waiting[:, _SAMPLES_PER_FRAME:]
        return packets

    def flushed(self) -> "list[Packet[Any]]":
        rest = self._encode(self._waiting) if self._waiting.shape[1] else []
        return rest + self._finished(self._track.codec_context.encode(None))

    def _encode(self, samples: Samples) -> "list[Packet[Any]]":
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
        frame.sample_rate, frame.time_base, frame.pts = SOUND_RATE_HZ, _TICK, self._at
        self._at += samples.shape[1]
        return self._finished(self._track.codec_context.encode(frame))

    def _finished(self, packets: "list[Packet[Any]]") -> "list[Packet[Any]]":
        for packet in packets:
            packet.stream = self._track
        return packets
