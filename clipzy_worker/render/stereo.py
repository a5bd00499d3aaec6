"""The stereo mix at 48 kHz, on the grid of samples that begins with the video."""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from clipzy_worker.analysers.audio.channels import stereo_weights
from clipzy_worker.analysers.audio.chunk import HOPS_PER_SECOND, Chunk, first_sample
from clipzy_worker.analysers.base import Samples

RATE_HZ = 48_000

_SAMPLES_PER_HOP = RATE_HZ // HOPS_PER_SECOND


class StereoMixer:
    """Turns chunks into blocks: the place of a block's first sample from the beginning of the video, and samples of
    shape (2, n).

    Blocks follow each other, except across gaps between chunks. What a moment sounds like does not depend on where the
    chunks begin, but for a few milliseconds after that.
    """

    def __init__(self) -> None:
        self._resampler: AudioResampler | None = None
        self._format: tuple[int, tuple[str, ...]] | None = None
        self._weights: Samples = np.empty((2, 0), np.float32)
        self._taken_samples = 0  # by the resampler
        self._next_sample = 0  # where what the resampler returns next belongs
        self._begin_sample = self._end_sample = 0  # of the chunks without a gap

    def blocks(self, chunk: Chunk) -> Iterator[tuple[int, Samples]]:
        begin = chunk.first_hop * _SAMPLES_PER_HOP
        if self._format != (chunk.rate_hz, chunk.channels) or begin != self._end_sample:
            yield from self.flush()
            self._begin(chunk)
        self._end_sample = chunk.end_hop * _SAMPLES_PER_HOP
        mixed = self._weights @ chunk.samples
        yield from self._placed([mixed] if self._resampler is None else self._resampled(mixed, chunk.rate_hz))

    def flush(self) -> Iterator[tuple[int, Samples]]:
        """The rest that the resampler holds, padded or cut to the length of the chunks."""
        rest = [_samples(frame) for frame in self._resampler.resample(None)] if self._resampler else []
        missing = max(self._end_sample - self._next_sample, 0)
        yield from self._placed([np.concatenate([*rest, _silence(missing)], axis=1)[:, :missing]])
        self._resampler = None

    def _begin(self, chunk: Chunk) -> None:
        self._format, self._taken_samples = (chunk.rate_hz, chunk.channels), 0
        self._weights = np.array(stereo_weights(chunk.channels), np.float32)
        self._begin_sample = self._next_sample = chunk.first_hop * _SAMPLES_PER_HOP
        if chunk.rate_hz != RATE_HZ:
            self._begin_resampling(chunk)

    def _begin_resampling(self, chunk: Chunk) -> None:
        """At a hop that begins at a sample of both rates: there its filter is always in the same phase."""
        self._resampler = AudioResampler(format="fltp", layout="stereo", rate=RATE_HZ)
        hop = chunk.first_hop - chunk.first_hop % (HOPS_PER_SECOND // math.gcd(chunk.rate_hz, HOPS_PER_SECOND))
        self._next_sample = hop * _SAMPLES_PER_HOP
        missing = first_sample(chunk.first_hop, chunk.rate_hz) - first_sample(hop, chunk.rate_hz)
        for _ in self._placed(self._resampled(_silence(missing), chunk.rate_hz) if missing else []):
            pass

    def _resampled(self, mixed: Samples, rate_hz: int) -> list[Samples]:
        if self._resampler is None:
            return []
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(mixed), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, self._taken_samples, Fraction(1, rate_hz)
        self._taken_samples += frame.samples
        return [_samples(found) for found in self._resampler.resample(frame)]

    def _placed(self, parts: list[Samples]) -> Iterator[tuple[int, Samples]]:
        for part in parts:
            begin, self._next_sample = self._next_sample, self._next_sample + part.shape[1]
            early = max(self._begin_sample - begin, 0)
            if early < part.shape[1]:
                yield begin + early, part[:, early:]


def _samples(frame: AudioFrame) -> Samples:
    return np.asarray(frame.to_ndarray(), np.float32)


def _silence(samples: int) -> Samples:
    return np.zeros((2, samples), np.float32)
