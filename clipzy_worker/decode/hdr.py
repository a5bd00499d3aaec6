"""Tone mapping: high dynamic range to what a standard screen shows.

The curves are those of SMPTE ST 2084 (PQ) and ITU-R BT.2100 (HLG); reference white is 203 cd/m², by ITU-R BT.2408.
What is brighter is rolled off towards white, so that detail stays visible.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Pixels

# Code points of ITU-T H.273.
TRANSFER_PQ, TRANSFER_HLG = 16, 18
PRIMARIES_BT2020 = 9

_REFERENCE_WHITE_NITS = 203.0
_KNEE = 0.8  # relative to reference white; linear below, rolled off above
_TO_BT709 = np.array(  # linear light, red, green, blue; ITU-R BT.2087
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
_STEPS = 4096


def tone_mapped(pixels: Pixels, *, transfer: int, primaries: int) -> Pixels:
    """A BGR frame in BT.709; one that is not HDR is returned unchanged."""
    if transfer not in (TRANSFER_PQ, TRANSFER_HLG):
        return pixels
    light = _light_of(transfer)[pixels]
    if primaries == PRIMARIES_BT2020:
        light = light @ _TO_BT709[::-1, ::-1].T  # the channels are in the order blue, green, red
    steps = np.clip(light * (_STEPS - 1), 0, _STEPS - 1).astype(np.intp)
    return np.asarray(_levels()[steps], dtype=np.uint8)


@cache
def _light_of(transfer: int) -> NDArray[np.float32]:
    """Linear light for each of 256 levels; 1 is white, after rolling off."""
    signal = np.linspace(0, 1, 256)
    relative = (_pq(signal) if transfer == TRANSFER_PQ else _hlg(signal)) / _REFERENCE_WHITE_NITS
    over = np.maximum(relative - _KNEE, 0.0)
    room = 1 - _KNEE
    return np.asarray(np.minimum(relative, _KNEE) + room * over / (over + room), dtype=np.float32)


def _pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """cd/m², by the EOTF of ST 2084."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return np.asarray(10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1))


def _hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """cd/m² of grey on a screen of 1000 cd/m², by the inverse OETF of BT.2100 and a system gamma of 1.2."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return np.asarray(1000 * scene**1.2)


@cache
def _levels() -> Pixels:
    """The 8-bit level for each step of linear light, by the OETF of BT.709."""
    light = np.linspace(0, 1, _STEPS)
    signal = np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099)
    return np.asarray(np.round(255 * signal), dtype=np.uint8)
