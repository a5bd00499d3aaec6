"""Keeps a listener on the clock of the pictures where the sound's own stamps stray, jump or leave gaps."""

from dataclasses import dataclass

import numpy as np

from clipzy_worker.analysers.base import SAMPLE_RATE_HZ, Block, Samples

_JITTER_SECONDS = 0.02  # containers round stamps to a millisecond, and some to a packet
_FILLED_SECONDS = 1.0  # a longer gap begins a new run of sound


@dataclass(frozen=True)
class Heard:
    """Samples that follow the last ones without a gap, or begin a new run at ``begins_seconds``."""

    samples: Samples
    begins_seconds: float | None


class Continuity:
    """Lays blocks end to end: short gaps become silence, and what was heard already is left out."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._count = 0

    def follow(self, block: Block) -> Heard:
        samples = block.samples
        if self._start is None:
            return self._begin(block.seconds, samples)
        ahead = block.seconds - self._start - self._count / SAMPLE_RATE_HZ
        if abs(ahead) > _FILLED_SECONDS:
            return self._begin(block.seconds, samples)
        if ahead > _JITTER_SECONDS:
            samples = np.concatenate([np.zeros(round(ahead * SAMPLE_RATE_HZ), dtype=np.float32), samples])
        elif ahead < -_JITTER_SECONDS:
            samples = samples[round(-ahead * SAMPLE_RATE_HZ) :]
        self._count += len(samples)
        return Heard(samples, None)

    def _begin(self, seconds: float, samples: Samples) -> Heard:
        self._start, self._count = seconds, len(samples)
        return Heard(samples, seconds)


def joined(pieces: list[Samples]) -> Samples:
    """All of these samples, none of them beyond -1 and 1; those that are not numbers are 0."""
    samples = np.concatenate(pieces)
    if not np.abs(samples).max(initial=0) <= 1:  # nor where there is one that is not a number
        samples = np.clip(np.nan_to_num(samples), -1, 1)
    return samples
