"""Onset strength by band, a hundred times per second."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipzy_storage.models.measurements import Band
from clipzy_worker.analysers.audio.gap_filling import joined
from clipzy_worker.analysers.base import SAMPLE_RATE_HZ, Samples

Floats = NDArray[np.float32]

BANDS: tuple[Band, ...] = ("bass", "mid", "treble")
FRAMES_PER_SECOND = 100

_WINDOW_SAMPLES = 512
_HOP_SAMPLES = SAMPLE_RATE_HZ // FRAMES_PER_SECOND
# The rise is measured over this distance: the time that an onset takes to fill the window.
_LAG_FRAMES = 2
_BATCH_FRAMES = 128
# The compression is logarithmic from 40 dB below full scale, and nearly linear below.
_COMPRESSION = 1e4
_EDGES_HZ = np.concatenate([[20, 80], np.geomspace(150, 2000, 11), np.geomspace(2000, 8000, 7)[1:]])
_HANN = np.hanning(_WINDOW_SAMPLES + 1)[:-1].astype(np.float32)


@dataclass(frozen=True)
class Envelope:
    """By frame and band: ``strength`` is the mean rise of log power over the parts of a band, ``energy`` that of its
    power. Frame ``n`` is at ``start_seconds + n / FRAMES_PER_SECOND``."""

    start_seconds: float
    strength: Floats
    energy: Floats


class Onsets:
    """Takes the samples of one run of audio; ``take`` returns the envelope since its last call.

    Spectral flux of a short-time Fourier transform (32 ms Hann windows, every 10 ms) in 18 bands, two below 150 Hz, ten
    to 2 kHz and six above: S. Dixon, "Onset detection revisited", DAFx 2006.
    """

    def __init__(self, start_seconds: float) -> None:
        # Half a window of silence first, so that the time of a frame is that of its centre.
        self._waiting: list[Samples] = [np.zeros(_WINDOW_SAMPLES // 2, dtype=np.float32)]
        self._count = _WINDOW_SAMPLES // 2
        self._before: Floats | None = None  # power of the last frames
        self._parts: list[tuple[Floats, Floats]] = []
        self._start_seconds = start_seconds
        self.frames = 0

    def add(self, samples: Samples) -> None:
        self._waiting.append(samples)
        self._count += len(samples)
        if self._count >= _WINDOW_SAMPLES + _HOP_SAMPLES * _BATCH_FRAMES:
            self._transform()

    def take(self) -> Envelope:
        self._transform()
        nothing = np.zeros((0, len(BANDS)), dtype=np.float32)
        strength, energy = zip((nothing, nothing), *self._parts, strict=True)
        envelope = Envelope(self._start_seconds, np.concatenate(strength), np.concatenate(energy))
        self._start_seconds += self.frames / FRAMES_PER_SECOND
        self._parts, self.frames = [], 0
        return envelope

    def _transform(self) -> None:
        samples = joined(self._waiting)
        frames = max(0, (len(samples) - _WINDOW_SAMPLES) // _HOP_SAMPLES + 1)
        for start in range(0, frames, _BATCH_FRAMES):
            stop = min(start + _BATCH_FRAMES, frames)
            self._rise(_power(samples[start * _HOP_SAMPLES : (stop - 1) * _HOP_SAMPLES + _WINDOW_SAMPLES]))
        self._waiting = [samples[frames * _HOP_SAMPLES :]]
        self._count = len(self._waiting[0])

    def _rise(self, power: Floats) -> None:
        before = self._before if self._before is not None else np.repeat(power[:1], _LAG_FRAMES, axis=0)
        power = np.concatenate([before, power])
        compressed = np.log1p(power * np.float32(_COMPRESSION))
        strength = np.maximum(compressed[_LAG_FRAMES:] - compressed[:-_LAG_FRAMES], 0) @ _MEANS
        energy = np.maximum(power[_LAG_FRAMES:] - power[:-_LAG_FRAMES], 0) @ _SUMS
        self._before = power[-_LAG_FRAMES:]
        self._parts.append((strength, energy))
        self.frames += len(strength)


def _power(samples: Samples) -> Floats:
    windows = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW_SAMPLES)[::_HOP_SAMPLES]
    spectrum = np.fft.rfft(windows * _HANN)
    return (np.square(spectrum.real) + np.square(spectrum.imag)) @ _PARTS


def _parts_of_spectrum() -> Floats:
    """Sums the bins of each part, scaled so that a full-scale sine has power 1; every part has at least one bin."""
    hertz = np.fft.rfftfreq(_WINDOW_SAMPLES, 1 / SAMPLE_RATE_HZ)
    parts = (hertz[:, None] >= _EDGES_HZ[:-1]) & (hertz[:, None] < _EDGES_HZ[1:])
    middles = np.sqrt(_EDGES_HZ[:-1] * _EDGES_HZ[1:])
    empty = ~parts.any(axis=0)
    parts[np.abs(hertz[:, None] - middles).argmin(axis=0)[empty], np.flatnonzero(empty)] = True
    return np.asarray(parts / (_HANN.sum() / 2) ** 2, dtype=np.float32)


def _bands_of_parts() -> Floats:
    upper = _EDGES_HZ[1:] * 0.999  # tolerance for rounding
    return np.stack([upper <= 150, (upper > 150) & (upper <= 2000), upper > 2000], axis=1).astype(np.float32)


_PARTS = _parts_of_spectrum()
_SUMS = _bands_of_parts()
_MEANS = _SUMS / _SUMS.sum(axis=0)
