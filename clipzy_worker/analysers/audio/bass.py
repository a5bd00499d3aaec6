"""The share of bass."""

import numpy as np

from clipzy_worker.analysers.base import SAMPLE_RATE_HZ, MonoBlock, Samples

_BASS_HZ = 150
# Below is a DC offset or the rumble of a microphone.
_AUDIBLE_HZ = 20
# 1 s.
_WINDOW_SAMPLES = SAMPLE_RATE_HZ


class Bass:
    """A ``MonoAnalyser``. ``percent``, after ``finish``, is the energy from 20 to 150 Hz relative to that from 20 Hz to
    8 kHz, not weighted, in windows of 1 s; ``None`` if there is only digital silence."""

    def __init__(self) -> None:
        self.percent: float | None = None
        self._waiting: list[Samples] = []
        self._count = 0
        self._bass = self._whole = 0.0

    def process(self, block: MonoBlock) -> None:
        self._waiting.append(block.samples)
        self._count += len(block.samples)
        if self._count >= _WINDOW_SAMPLES:
            samples = np.concatenate(self._waiting)
            whole = self._count - self._count % _WINDOW_SAMPLES
            for window in samples[:whole].reshape(-1, _WINDOW_SAMPLES):
                self._add(window)
            self._waiting, self._count = [samples[whole:]], self._count - whole

    def finish(self, _end_seconds: float) -> None:
        if self._count:
            self._add(np.concatenate(self._waiting))
        self.percent = 100 * self._bass / self._whole if self._whole > 0 else None

    def _add(self, window: Samples) -> None:
        energy = np.square(np.abs(np.fft.rfft(window)))
        per_hz = len(window) / SAMPLE_RATE_HZ
        lowest, bass = round(_AUDIBLE_HZ * per_hz), round(_BASS_HZ * per_hz)
        self._bass += float(energy[lowest:bass].sum())
        self._whole += float(energy[lowest:].sum())
