"""Writes MP4 files that begin to play before they are loaded: pictures encoded or copied, and sound encoded once."""

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

from clipzy_worker.render.encoder import VideoFormat, add_video

SOUND_RATE_HZ = 48_000
_SOUND_BITS_PER_SECOND = 160_000
_SAMPLES_PER_FRAME = 1024
_TICK = Fraction(1, SOUND_RATE_HZ)
# Edit lists count in the unit of the whole file. In its default of milliseconds the sound would lose its last samples.
_OPTIONS = {"movflags": "+faststart", "movie_timescale": str(SOUND_RATE_HZ), "fflags": "+bitexact"}

Samples = NDArray[np.float32]


class Mp4Writer:
    """A context manager. ``picture`` and ``sound`` may be called in any order, but memory stays constant only if both
    follow the time. Leaving the block finishes the file; if that was by an error, the file is of no use.

    ``video`` is a format, or the track of a file whose packets ``copied`` takes.

    Raises ``OSError`` if the file cannot be written, and ``FFmpegError`` if something cannot be encoded.
    """

    def __init__(self, path: Path, *, video: VideoFormat | VideoStream, has_sound: bool, threads: int = 1) -> None:
        self._container = av.open(str(path), "w", format="mp4", options=_OPTIONS)
        if isinstance(video, VideoFormat):
            self._video = add_video(self._container, video, threads=threads)
            self._time_base = video.time_base
        else:
            self._video = self._container.add_stream_from_template(video)
        self._sound = _SoundTrack(self._container) if has_sound else None
        self._durations: dict[int, int] = {}

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

    def copied(self, packet: "Packet[VideoStream]") -> None:
        """Write the next packet of a track like ``video``, in the order of decoding."""
        packet.stream = self._video
        self._container.mux(packet)

    def sound(self, samples: Samples) -> None:
        """Encode the next samples, stereo at ``SOUND_RATE_HZ``, of shape (2, n)."""
        if self._sound is not None:
            self._container.mux(self._sound.encoded(samples))

    def _flush(self) -> None:
        if self._durations:
            self._mux_encoded(self._video.codec_context.encode(None))
        if self._sound is not None:
            self._container.mux(self._sound.flushed())

    def _mux_encoded(self, packets: "list[Packet[Any]]") -> None:
        for packet in packets:
            packet.stream = self._video
            packet.duration = self._durations.pop(packet.pts)
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
