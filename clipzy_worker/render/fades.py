"""Fades at cuts, short enough not to be heard: without them a cut clicks."""

from collections.abc import Iterator

import numpy as np

from clipzy_worker.analysers.base import Samples
from clipzy_worker.render.stereo import RATE_HZ

FADE_SECONDS = 0.008


def faded(blocks: Iterator[Samples], samples: int, *, fade_in: bool, fade_out: bool) -> Iterator[Samples]:
    """The blocks, which have so many samples in all, with a raised cosine at these ends: 8 ms, or half of the whole."""
    curve = _curve(min(round(FADE_SECONDS * RATE_HZ), samples // 2))
    at = 0
    for block in blocks:
        end = at + block.shape[1]
        rising = curve[at:end] if fade_in else curve[:0]
        falling = curve[::-1][max(at - samples + len(curve), 0) : max(end - samples + len(curve), 0)]
        yield _scaled(block, rising, falling if fade_out else curve[:0])
        at = end


def _curve(samples: int) -> Samples:
    middles = (np.arange(samples) + 0.5) / max(samples, 1)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * middles), np.float32)


def _scaled(block: Samples, rising: Samples, falling: Samples) -> Samples:
    if not len(rising) and not len(falling):
        return block
    block = block.copy()
    block[:, : len(rising)] *= rising
    block[:, block.shape[1] - len(falling) :] *= falling
    return block
