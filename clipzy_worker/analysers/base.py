"""What analysers hear and what they promise."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Signature = NDArray[np.float32]
Samples = NDArray[np.float32]

SAMPLE_RATE_HZ = 16_000  # of the sound that listeners hear

_GLIMPSE_SIZE = (16, 9)
_SMALL_PIXELS = 160 * 90


@dataclass(frozen=True)
class Frame:
    """One picture of the film, made small for measuring, upright and with square pixels; levels are 0 to 255.

    ``pixels`` is BGR, about 320x180; ``small`` the same at about 160x90. ``mean`` and ``spread`` (standard deviation)
    are of its brightness. ``show`` paints the full picture at a width and height. A key picture is coded without
    any other.
    """

    index: int
    seconds: float
    pixels: Pixels
    show: Callable[[tuple[int, int]], Pixels]
    is_key: bool = False

    @cached_property
    def small(self) -> Pixels:
        height, width = self.pixels.shape[:2]
        size = reduced_size(width, height, pixels=_SMALL_PIXELS)
        return np.asarray(cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)

    @cached_property
    def luma(self) -> Pixels:
        return np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_BGR2GRAY), dtype=np.uint8)

    @cached_property
    def small_luma(self) -> Pixels:
        return np.asarray(cv2.cvtColor(self.small, cv2.COLOR_BGR2GRAY), dtype=np.uint8)

    @cached_property
    def signature(self) -> Signature:
        """The picture in 432 numbers, in which noise and small motion vanish."""
        return np.asarray(cv2.resize(self.small, _GLIMPSE_SIZE, interpolation=cv2.INTER_AREA), dtype=np.float32).ravel()

    @property
    def mean(self) -> float:
        return self._levels[0]

    @property
    def spread(self) -> float:
        return self._levels[1]

    @property
    def is_blank(self) -> bool:
        """Nearly all black or all white, as in the middle of a fade."""
        return self.spread < 8 and (self.mean < 28 or self.mean > 227)

    @cached_property
    def _levels(self) -> tuple[float, float]:
        mean, spread = cv2.meanStdDev(self.small_luma)
        return float(mean[0, 0]), float(spread[0, 0])


class FrameAnalyser(Protocol):
    """Watches every frame in order, then the end. Memory must not grow with the number of frames."""

    def process(self, frame: Frame) -> None: ...

    def finish(self, end_seconds: float) -> None:
        """There are no more frames; the last one ends at ``end_seconds``."""


@dataclass(frozen=True)
class Block:
    """A piece of the sound, mixed to one channel: float32 from -1 to 1, at ``SAMPLE_RATE_HZ``.

    ``seconds`` is when its first sample sounds, on the clock of the pictures, and may lie before 0.
    """

    seconds: float
    samples: Samples


class MonoAnalyser(Protocol):
    """Hears all of the sound in order, in blocks of any length, then the end. Memory as for an ``FrameAnalyser``,
    but for a few numbers a second."""

    def process(self, block: Block) -> None: ...

    def finish(self, end_seconds: float) -> None:
        """There is no more sound; the film ends at ``end_seconds``."""


def reduced_size(width: int, height: int, *, pixels: int) -> tuple[int, int]:
    """Width and height of about so many pixels in the same shape; not larger, and at least 8 a side."""
    scale = min(1.0, (pixels / (width * height)) ** 0.5)
    return max(8, round(width * scale)), max(8, round(height * scale))


def distance(one: Signature, other: Signature) -> float:
    """Root mean square difference of two glimpses, in levels."""
    return cv2.norm(one, other, cv2.NORM_L2) / math.sqrt(one.size)
