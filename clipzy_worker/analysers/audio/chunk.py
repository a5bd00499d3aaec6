"""Audio at its recorded rate with all channels, cut along a fixed grid on the timeline of the video."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Samples

HOPS_PER_SECOND = 100

Levels = NDArray[np.float32]


def first_sample(hop: int, rate_hz: int) -> int:
    """The first sample of a hop, from the beginning of the video; a hop may have a fractional number of samples."""
    return (hop * rate_hz + HOPS_PER_SECOND // 2) // HOPS_PER_SECOND


def hop_of(sample: int, rate_hz: int) -> int:
    """The hop that contains a sample."""
    hop = sample * HOPS_PER_SECOND // rate_hz
    while first_sample(hop, rate_hz) > sample:
        hop -= 1
    while first_sample(hop + 1, rate_hz) <= sample:
        hop += 1
    return hop


@dataclass(frozen=True)
class Chunk:
    """Some complete hops of 10 ms. Hop 0 begins with the first frame of the video; earlier audio has negative hops.

    ``samples`` is (channels, samples), float32, full scale 1; ``channels`` are FFmpeg's names (FL, FR, FC, LFE, …).
    Measures per hop are (channels, hops).
    """

    first_hop: int
    hops: int
    rate_hz: int
    channels: tuple[str, ...]
    samples: Samples

    @property
    def end_hop(self) -> int:
        return self.first_hop + self.hops

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The index of the first sample of each hop."""
        hops = np.arange(self.first_hop, self.end_hop)
        begins = (hops * self.rate_hz + HOPS_PER_SECOND // 2) // HOPS_PER_SECOND  # as in first_sample
        return np.asarray(begins - begins[0], np.int64)

    @cached_property
    def low(self) -> Levels:
        return self.reduced(np.minimum, self.samples)

    @cached_property
    def high(self) -> Levels:
        return self.reduced(np.maximum, self.samples)

    @cached_property
    def power(self) -> Levels:
        """Mean square."""
        return self.mean_square(self.samples)

    def mean_square(self, samples: Samples) -> Levels:
        """The mean square per hop of samples of the same length, for example of this chunk's filtered samples."""
        lengths = np.diff(self.starts, append=samples.shape[1])
        return np.asarray(self.reduced(np.add, np.square(samples)) / lengths, np.float32)

    def reduced(self, by: np.ufunc, samples: Samples) -> Levels:
        if self.rate_hz % HOPS_PER_SECOND == 0:  # the usual case, and much faster
            return np.asarray(by.reduce(samples.reshape(len(samples), self.hops, -1), axis=2), np.float32)
        return np.asarray(by.reduceat(samples, self.starts, axis=1), np.float32)


class MultichannelAnalyser(Protocol):
    """Processes every chunk in order; gaps between them are silence. Memory may grow by a few numbers per second."""

    def process(self, chunk: Chunk) -> None: ...

    def finish(self, end_seconds: float) -> None:
        """Called after the last chunk; the video ends at ``end_seconds``."""
