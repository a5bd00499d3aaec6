"""The mono mix at 16 kHz."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from clipzy_worker.analysers.audio.channels import mono_weights
from clipzy_worker.analysers.audio.chunk import HOPS_PER_SECOND, Chunk
from clipzy_worker.analysers.base import SAMPLE_RATE_HZ, MonoBlock, Samples

_SAMPLES_PER_HOP = SAMPLE_RATE_HZ // HOPS_PER_SECOND


class MonoMixer:
    """Mixes chunks to blocks. These follow each other to the sample, except across gaps between chunks."""

    def __init__(self) -> None:
        self._resampler: AudioResampler | None = None
        self._format: tuple[int, tuple[str, ...]] | None = None
        self._weights = np.empty(0, np.float32)
        self._resampled_samples = 0
        self._next_sample = 0  # where the next block begins, from the beginning of the video
        self._end_sample = 0  # of the last chunk, likewise

    def blocks(self, chunk: Chunk) -> Iterator[MonoBlock]:
        if self._format != (chunk.rate_hz, chunk.channels) or chunk.first_hop * _SAMPLES_PER_HOP != self._end_sample:
            yield from self.flush()
            self._begin(chunk)
        self._end_sample = chunk.end_hop * _SAMPLES_PER_HOP
        for part in self._resampled(self._weights @ chunk.samples, chunk.rate_hz):
            yield from self._block(part)

    def flush(self) -> Iterator[MonoBlock]:
        """The rest that the resampler holds, padded or cut to the length of the chunks."""
        rest = [_samples(frame) for frame in self._resampler.resample(None)] if self._resampler else []
        missing = max(self._end_sample - self._next_sample, 0)
        yield from self._block(np.concatenate([*rest, np.zeros(missing, np.float32)])[:missing])
        self._resampler = None

    def _begin(self, chunk: Chunk) -> None:
        self._resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        self._format, self._resampled_samples = (chunk.rate_hz, chunk.channels), 0
        self._weights = np.array(mono_weights(chunk.channels), np.float32)
        self._next_sample = chunk.first_hop * _SAMPLES_PER_HOP

    def _resampled(self, mixed: Samples, rate_hz: int) -> list[Samples]:
        frame = AudioFrame.from_ndarray(mixed[None], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, self._resampled_samples, Fraction(1, rate_hz)
        self._resampled_samples += frame.samples
        return [_samples(found) for found in self._resampler.resample(frame)] if self._resampler else []

    def _block(self, samples: Samples) -> Iterator[MonoBlock]:
        if len(samples):
            yield MonoBlock(self._next_sample / SAMPLE_RATE_HZ, samples)
            self._next_sample += len(samples)


def _samples(frame: AudioFrame) -> Samples:
    return np.asarray(frame.to_ndarray(), np.float32).reshape(-1)
