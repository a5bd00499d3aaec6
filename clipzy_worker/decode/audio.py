"""Puts decoded sound on the film's clock, whatever its format, and cuts it into chunks."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from clipzy_worker.analysers.audio.channels import named
from clipzy_worker.analysers.audio.chunk import Chunk, first_sample, hop_of
from clipzy_worker.analysers.base import Samples

_TOLERANCE_SECONDS = 0.03  # of stamps: some containers round them, and a lost packet may be 21 ms
_MOST_VALUES = 1 << 20  # in a chunk, however many channels there are; it is of 1 s otherwise
_MOST_PLANES = 7  # PyAV reads past the end of a frame that has more of them
_LOUDEST = 16.0  # +24 dBFS; floating point samples may claim anything
_RATES_HZ = range(4_000, 768_001)
_MOST_CHANNELS = 64


class _Run:
    """A stretch of sound of one format, without a gap, that begins at a sample of the film."""

    def __init__(self, frame: AudioFrame, sample: int, *, not_before_hop: int | None) -> None:
        self.rate_hz = frame.sample_rate
        self.channels = named(tuple(channel.name for channel in frame.layout.channels))
        begin_hop = hop_of(sample, self.rate_hz)
        self._hop = begin_hop if not_before_hop is None else max(begin_hop, not_before_hop)
        # The first hop is filled up with silence; what sounds in one that has been given is dropped.
        missing = sample - first_sample(self._hop, self.rate_hz)
        self._front: Samples = np.zeros((len(self.channels), max(missing, 0)), np.float32)
        self._drop = max(-missing, 0)
        self._fifo = AudioFifo()
        too_many = frame.format.is_planar and len(self.channels) > _MOST_PLANES
        self._packed = AudioResampler(format="flt") if too_many else None
        self._planar = frame.format.is_planar and not too_many

    @property
    def hop(self) -> int:
        """Up to here chunks were given."""
        return self._hop

    @property
    def waiting(self) -> int:
        return self._fifo.samples if self._fifo.samples_written else 0

    def write(self, frame: AudioFrame) -> None:
        for part in self._packed.resample(frame) if self._packed else (frame,):
            part.pts = None  # else the queue would check it
            self._fifo.write(part)

    def cut(self, *, last: bool) -> Iterator[Chunk]:
        """All whole hops that wait; the ``last`` one is filled up with silence."""
        self._drop -= self._read(min(self._drop, self.waiting)).shape[1]
        begin, filled = first_sample(self._hop, self.rate_hz), self._front.shape[1]
        end_hop = hop_of(begin + filled + self.waiting, self.rate_hz)
        if last and first_sample(end_hop, self.rate_hz) < begin + filled + self.waiting:
            end_hop += 1
        if end_hop > self._hop:
            count = first_sample(end_hop, self.rate_hz) - begin
            samples = self._read(min(count - filled, self.waiting))
            missing = np.zeros((len(samples), count - filled - samples.shape[1]), np.float32)
            if filled or missing.size:
                samples = np.concatenate([self._front, samples, missing], axis=1)
            self._front = samples[:, :0]
            yield _sane(Chunk(self._hop, end_hop - self._hop, self.rate_hz, self.channels, samples))
        self._hop = end_hop

    def _read(self, count: int) -> Samples:
        frame = self._fifo.read(count) if count else None
        if frame is None:
            return np.empty((len(self.channels), 0), np.float32)
        values = np.asarray(frame.to_ndarray())
        return _full_scale(values if self._planar else values.reshape(-1, len(self.channels)).T)


class Chunks:
    """Takes frames in the order of decoding, and gives chunks in the order of time.

    Where a stamp lies more than 30 ms past the end of what came before, that time is left out of the chunks. A stamp
    that goes back, or lies past ``limit_seconds``, is not believed: the sound goes on. Sound past ``limit_seconds`` is
    dropped. ``origin`` is the stamp of the film's beginning, in seconds of the container's own clock.
    """

    def __init__(self, *, origin: Fraction, limit_seconds: int) -> None:
        self.origin, self._limit_seconds = origin, limit_seconds
        self._format: tuple[str, int, str] | None = None
        self._run: _Run | None = None
        self._next_seconds = 0.0

    def take(self, frame: AudioFrame) -> Iterator[Chunk]:
        """Raises ``ValueError`` where the frame is of a kind that cannot be measured."""
        form = frame.format.name, frame.sample_rate, frame.layout.name
        seconds = self._place(frame)
        if self._run is None or self._format != form or seconds > self._next_seconds + _TOLERANCE_SECONDS:
            yield from self._begin(frame, seconds)
        if self._run is not None and self._next_seconds < self._limit_seconds:
            self._next_seconds += frame.samples / self._run.rate_hz
            self._run.write(frame)
            if self._run.waiting >= min(self._run.rate_hz, _MOST_VALUES // len(self._run.channels)):
                yield from self._run.cut(last=False)

    def flush(self) -> Iterator[Chunk]:
        """What still waits; its last hop is filled up with silence."""
        if self._run is not None:
            yield from self._run.cut(last=True)

    def _begin(self, frame: AudioFrame, seconds: float) -> Iterator[Chunk]:
        if frame.sample_rate not in _RATES_HZ or not 1 <= frame.layout.nb_channels <= _MOST_CHANNELS:
            raise ValueError(f"sound of {frame.layout.nb_channels} channels at {frame.sample_rate} Hz")
        yield from self.flush()
        not_before_hop = self._run.hop if self._run else None
        self._run = _Run(frame, round(seconds * frame.sample_rate), not_before_hop=not_before_hop)
        self._format = frame.format.name, frame.sample_rate, frame.layout.name
        self._next_seconds = seconds

    def _place(self, frame: AudioFrame) -> float:
        at = frame.time
        if at is None or abs(at - float(self.origin)) > self._limit_seconds:
            return self._next_seconds
        at -= float(self.origin)
        return at if self._run is None else max(at, self._next_seconds)


def _full_scale(values: NDArray[Any]) -> Samples:
    """As float32 whose full scale is 1."""
    if values.dtype.kind == "f":
        return values.astype(np.float32, copy=False)
    middle = 128 if values.dtype.kind == "u" else 0
    scale = np.float32(2.0 ** (1 - 8 * values.dtype.itemsize))
    return (values.astype(np.float32) - np.float32(middle)) * scale


def _sane(chunk: Chunk) -> Chunk:
    if chunk.high.max() <= _LOUDEST and chunk.low.min() >= -_LOUDEST:
        return chunk
    return replace(chunk, samples=np.clip(np.nan_to_num(chunk.samples), -_LOUDEST, _LOUDEST))
