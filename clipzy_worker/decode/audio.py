"""Places decoded audio of any format on the video's timeline, and cuts it into chunks."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from clipzy_worker.analysers.audio.channels import named
from clipzy_worker.analysers.audio.chunk import Chunk, first_sample, hop_of
from clipzy_worker.analysers.base import Samples
from clipzy_worker.decode.audio_index import AudioIndex, AudioPlace

# Some containers round timestamps, and one lost packet may be 21 ms.
_TIMESTAMP_TOLERANCE_SECONDS = 0.03
# A chunk is 1 s long, or shorter with so many channels that it would have more values.
_MAX_VALUES_PER_CHUNK = 1 << 20
# PyAV reads past the end of a frame that has more planes.
_MAX_PLANES = 7
# +24 dBFS; floating-point samples may have any value.
_MAX_AMPLITUDE = 16.0
_SUPPORTED_RATES_HZ = range(4_000, 768_001)
_MAX_CHANNELS = 64


class _Run:
    """Audio of one format without a gap. ``sample`` is where it begins, counted from the beginning of the video, and
    ``next_sample`` where it goes on."""

    def __init__(self, frame: AudioFrame, sample: int, *, not_before_hop: int | None) -> None:
        self.rate_hz = frame.sample_rate
        self.channels = named(tuple(channel.name for channel in frame.layout.channels))
        begin_hop = hop_of(sample, self.rate_hz)
        self._hop = begin_hop if not_before_hop is None else max(begin_hop, not_before_hop)
        # The first hop is padded with silence; samples of a hop that is already part of a chunk are dropped.
        missing = sample - first_sample(self._hop, self.rate_hz)
        self._front: Samples = np.zeros((len(self.channels), max(missing, 0)), np.float32)
        self._drop = max(-missing, 0)
        self._fifo = AudioFifo()
        self.next_sample = sample
        too_many = frame.format.is_planar and len(self.channels) > _MAX_PLANES
        self._packed = AudioResampler(format="flt") if too_many else None
        self._planar = frame.format.is_planar and not too_many

    @property
    def hop(self) -> int:
        """The end of the last chunk."""
        return self._hop

    @property
    def queued(self) -> int:
        return self._fifo.samples if self._fifo.samples_written else 0

    def write(self, frame: AudioFrame) -> None:
        self.next_sample += frame.samples
        for part in self._packed.resample(frame) if self._packed else (frame,):
            part.pts = None  # else the FIFO would check it
            self._fifo.write(part)

    def cut(self, *, last: bool) -> Iterator[Chunk]:
        """All complete hops; with ``last`` also the rest, padded with silence."""
        self._drop -= self._read(min(self._drop, self.queued)).shape[1]
        begin, filled = first_sample(self._hop, self.rate_hz), self._front.shape[1]
        end_hop = hop_of(begin + filled + self.queued, self.rate_hz)
        if last and first_sample(end_hop, self.rate_hz) < begin + filled + self.queued:
            end_hop += 1
        if end_hop > self._hop:
            count = first_sample(end_hop, self.rate_hz) - begin
            samples = self._read(min(count - filled, self.queued))
            missing = np.zeros((len(samples), count - filled - samples.shape[1]), np.float32)
            if filled or missing.size:
                samples = np.concatenate([self._front, samples, missing], axis=1)
            self._front = samples[:, :0]
            yield _clipped(Chunk(self._hop, end_hop - self._hop, self.rate_hz, self.channels, samples))
        self._hop = end_hop

    def _read(self, count: int) -> Samples:
        frame = self._fifo.read(count) if count else None
        if frame is None:
            return np.empty((len(self.channels), 0), np.float32)
        values = np.asarray(frame.to_ndarray())
        return _full_scale(values if self._planar else values.reshape(-1, len(self.channels)).T)


class ChunkCutter:
    """Takes frames in decoding order, and returns chunks in the order of time.

    If a timestamp lies more than 30 ms past the end of the last frame, no chunk covers the gap. A timestamp that goes
    back, or lies past ``limit_seconds``, is ignored: the frame follows the last one. Audio past ``limit_seconds`` is
    dropped. ``origin`` is where a player's clock starts, in seconds of the container's; what comes before is dropped.
    ``end_seconds`` is where the last frame ends, and ``index`` has where the frames are.

    Where the first frame is may be given: then all is as if the frames before it had been decoded as well.
    """

    def __init__(self, *, origin: float, limit_seconds: int, first: AudioPlace | None = None) -> None:
        self.origin, self._limit_seconds = origin, limit_seconds
        self.index = AudioIndex()
        self._first = first
        self._format: tuple[str, int, str] | None = None
        self._run: _Run | None = None
        self.end_seconds = 0.0

    def chunks(self, frame: AudioFrame) -> Iterator[Chunk]:
        """The chunks that this frame completes. Raises ``ValueError`` for an unsupported rate or channel count."""
        form = frame.format.name, frame.sample_rate, frame.layout.name
        seconds = self._time_of(frame)
        if self._run is None or self._format != form or seconds > self.end_seconds + _TIMESTAMP_TOLERANCE_SECONDS:
            yield from self._begin(frame, seconds)
        if self._run is not None and self.end_seconds < self._limit_seconds:
            self.index.add(
                frame.pts,
                sample=self._run.next_sample,
                seconds=self.end_seconds,
                channels=len(self._run.channels),
            )
            self.end_seconds += frame.samples / self._run.rate_hz
            self._run.write(frame)
            if self._run.queued >= min(self._run.rate_hz, _MAX_VALUES_PER_CHUNK // len(self._run.channels)):
                yield from self._run.cut(last=False)

    def flush(self) -> Iterator[Chunk]:
        """The rest; its last hop is padded with silence."""
        if self._run is not None:
            yield from self._run.cut(last=True)

    def _begin(self, frame: AudioFrame, seconds: float) -> Iterator[Chunk]:
        if frame.sample_rate not in _SUPPORTED_RATES_HZ or not 1 <= frame.layout.nb_channels <= _MAX_CHANNELS:
            raise ValueError(f"audio of {frame.layout.nb_channels} channels at {frame.sample_rate} Hz")
        yield from self.flush()
        not_before_hop = self._run.hop if self._run else None
        is_given = self._run is None and self._first is not None
        sample = self._first.sample if self._first and is_given else round(seconds * frame.sample_rate)
        self._run = _Run(frame, sample, not_before_hop=not_before_hop)
        self._format = frame.format.name, frame.sample_rate, frame.layout.name
        self.end_seconds = seconds

    def _time_of(self, frame: AudioFrame) -> float:
        if self._run is None and self._first is not None:
            return self._first.seconds
        at = frame.time
        if at is None or abs(at - self.origin) > self._limit_seconds:
            return self.end_seconds
        at -= self.origin
        return at if self._run is None else max(at, self.end_seconds)


def _full_scale(values: NDArray[Any]) -> Samples:
    """The samples as float32 with full scale 1."""
    if values.dtype.kind == "f":
        return values.astype(np.float32, copy=False)
    middle = 128 if values.dtype.kind == "u" else 0
    scale = np.float32(2.0 ** (1 - 8 * values.dtype.itemsize))
    return (values.astype(np.float32) - np.float32(middle)) * scale


def _clipped(chunk: Chunk) -> Chunk:
    if chunk.high.max() <= _MAX_AMPLITUDE and chunk.low.min() >= -_MAX_AMPLITUDE:
        return chunk
    return replace(chunk, samples=np.clip(np.nan_to_num(chunk.samples), -_MAX_AMPLITUDE, _MAX_AMPLITUDE))
