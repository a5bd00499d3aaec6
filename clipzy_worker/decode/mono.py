"""The sound for those who hear it as one channel at a low rate."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from clipzy_worker.analysers.audio.channels import mono_weights
from clipzy_worker.analysers.audio.chunk import HOPS_PER_SECOND, Chunk
from clipzy_worker.analysers.base import SAMPLE_RATE_HZ, Block, Samples

_PER_HOP = SAMPLE_RATE_HZ // HOPS_PER_SECOND


class Mono:
    """Makes blocks of chunks. They follow each other to the sample, but for time that the chunks leave out."""

    def __init__(self) -> None:
        self._resampler: AudioResampler | None = None
        self._format: tuple[int, tuple[str, ...]] | None = None
        self._weights = np.empty(0, np.float32)
        self._sent = 0  # samples given to the resampler
        self._next = 0  # sample of the next block, from the beginning of the film
        self._end = 0  # of the last chunk, likewise

    def blocks(self, chunk: Chunk) -> Iterator[Block]:
        if self._format != (chunk.rate_hz, chunk.channels) or chunk.first_hop * _PER_HOP != self._end:
            yield from self.flush()
            self._begin(chunk)
        self._end = chunk.end_hop * _PER_HOP
        for part in self._resampled(self._weights @ chunk.samples, chunk.rate_hz):
            yield from self._given(part)

    def flush(self) -> Iterator[Block]:
        """What the resampler still holds; to the sample as long as the chunks were."""
        rest = [_row(frame) for frame in self._resampler.resample(None)] if self._resampler else []
        missing = max(self._end - self._next, 0)
        yield from self._given(np.concatenate([*rest, np.zeros(missing, np.float32)])[:missing])
        self._resampler = None

    def _begin(self, chunk: Chunk) -> None:
        self._resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        self._format, self._sent = (chunk.rate_hz, chunk.channels), 0
        self._weights = np.array(mono_weights(chunk.channels), np.float32)
        self._next = chunk.first_hop * _PER_HOP

    def _resampled(self, mixed: Samples, rate_hz: int) -> list[Samples]:
        frame = AudioFrame.from_ndarray(mixed[None], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, self._sent, Fraction(1, rate_hz)
        self._sent += frame.samples
        return [_row(found) for found in self._resampler.resample(frame)] if self._resampler else []

    def _given(self, samples: Samples) -> Iterator[Block]:
        if len(samples):
            yield Block(self._next / SAMPLE_RATE_HZ, samples)
            self._next += len(samples)


def _row(frame: AudioFrame) -> Samples:
    return np.asarray(frame.to_ndarray(), np.float32).reshape(-1)
