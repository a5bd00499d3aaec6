"""Keeps mono analysers on the timeline of the video if audio timestamps drift, jump or leave gaps."""

from dataclasses import dataclass

import numpy as np

from clipzy_worker.analysers.base import SAMPLE_RATE_HZ, MonoBlock, Samples

# Containers round timestamps to a millisecond, and some to a packet.
_JITTER_SECONDS = 0.02
# After a longer gap a new run begins.
_MAX_FILLED_SECONDS = 1.0


@dataclass(frozen=True)
class RunSamples:
    """Samples that follow the last ones without a gap, or begin a new run at ``begins_seconds``."""

    samples: Samples
    begins_seconds: float | None


class GapFiller:
    """Joins blocks: short gaps are filled with silence, overlaps are cut."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._count = 0

    def fill(self, block: MonoBlock) -> RunSamples:
        samples = block.samples
        if self._start is None:
            return self._begin(block.seconds, samples)
        ahead = block.seconds - self._start - self._count / SAMPLE_RATE_HZ
        if abs(ahead) > _MAX_FILLED_SECONDS:
            return self._begin(block.seconds, samples)
        if ahead > _JITTER_SECONDS:
            samples = np.concatenate([np.zeros(round(ahead * SAMPLE_RATE_HZ), dtype=np.float32), samples])
        elif ahead < -_JITTER_SECONDS:
            samples = samples[round(-ahead * SAMPLE_RATE_HZ) :]
        self._count += len(samples)
        return RunSamples(samples, None)

    def _begin(self, seconds: float, samples: Samples) -> RunSamples:
        self._start, self._count = seconds, len(samples)
        return RunSamples(samples, seconds)


def joined(pieces: list[Samples]) -> Samples:
    """The concatenated samples, clipped to -1 and 1; NaN becomes 0."""
    samples = np.concatenate(pieces)
    if not np.abs(samples).max(initial=0) <= 1:  # also if there is a NaN
        samples = np.clip(np.nan_to_num(samples), -1, 1)
    return samples
