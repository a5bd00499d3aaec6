"""The waveform: minimum and maximum of the samples at each point, for players and images."""

import math
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.audio.chunk import HOPS_PER_SECOND, Chunk, Levels

MAX_POINTS = 20_000

_LOWEST, _HIGHEST = -128, 127


class WaveformDocument(TypedDict):
    """The JSON format of audiowaveform, version 2."""

    version: int
    channels: int
    sample_rate: int
    samples_per_pixel: int
    bits: int
    length: int
    data: list[int]


class Waveform:
    """A ``MultichannelAnalyser`` of all channels, so that channels which cancel each other are visible. A point covers
    10 ms at first, and twice as much whenever there would be more than 20,000 of them."""

    def __init__(self) -> None:
        self._low = np.full(MAX_POINTS, _HIGHEST, np.int8)
        self._high = np.full(MAX_POINTS, _LOWEST, np.int8)
        self._hops_per_point = 1
        self._rate_hz = 0

    def process(self, chunk: Chunk) -> None:
        self._rate_hz = self._rate_hz or chunk.rate_hz
        skipped = max(-chunk.first_hop, 0)  # before the video begins
        if skipped < chunk.hops:
            self._make_room(chunk.end_hop)
            points = np.arange(chunk.first_hop + skipped, chunk.end_hop) // self._hops_per_point
            np.minimum.at(self._low, points, _level(chunk.low.min(axis=0)[skipped:]))
            np.maximum.at(self._high, points, _level(chunk.high.max(axis=0)[skipped:]))

    def finish(self, end_seconds: float) -> None: ...

    def points(self, end_seconds: float) -> NDArray[np.int8]:
        """(points, 2), minimum and maximum, over the whole video; full scale is 128, and 0 means no audio."""
        hops = math.ceil(round(end_seconds * HOPS_PER_SECOND, 3))
        self._make_room(hops)
        both = np.stack([self._low, self._high], axis=1)[: -(-hops // self._hops_per_point)]
        both[both[:, 0] > both[:, 1]] = 0
        return both

    def document(self, end_seconds: float) -> WaveformDocument:
        """The points as peaks.js and other players read them.

        Its sample rate is a multiple of the audio's if a point has a fractional number of samples at that."""
        points = self.points(end_seconds)
        rate_hz = math.lcm(self._rate_hz or HOPS_PER_SECOND, HOPS_PER_SECOND)
        return {
            "version": 2,
            "channels": 1,
            "sample_rate": rate_hz,
            "samples_per_pixel": rate_hz // HOPS_PER_SECOND * self._hops_per_point,
            "bits": 8,
            "length": len(points),
            "data": points.ravel().tolist(),
        }

    def _make_room(self, hops: int) -> None:
        while hops > MAX_POINTS * self._hops_per_point:
            self._hops_per_point *= 2
            self._low = _halved(self._low, np.minimum, _HIGHEST)
            self._high = _halved(self._high, np.maximum, _LOWEST)


def _halved(points: NDArray[np.int8], by: np.ufunc, empty: int) -> NDArray[np.int8]:
    merged = by.reduce(points.reshape(-1, 2), axis=1)
    return np.concatenate([merged, np.full(len(merged), empty, np.int8)])


def _level(samples: Levels) -> NDArray[np.int8]:
    return np.clip(np.floor(samples * (_HIGHEST + 1)), _LOWEST, _HIGHEST).astype(np.int8)
