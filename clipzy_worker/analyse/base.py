"""What analysers hear and what they promise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Glimpse = NDArray[np.float32]

_GLIMPSE_SIZE = (16, 9)


@dataclass(frozen=True)
class Frame:
    """One picture of the film, made small for measuring; levels are 0 to 255.

    ``pixels`` is BGR as stored (not turned), about 320x180; ``mean`` and ``spread`` (standard deviation) are of its
    brightness. ``glimpse`` is the picture in 432 numbers, in which noise and small motion vanish.
    ``show`` paints the full picture, upright, at a width and height.
    """

    index: int
    seconds: float
    pixels: Pixels
    luma: Pixels
    mean: float
    spread: float
    glimpse: Glimpse
    show: Callable[[tuple[int, int]], Pixels]

    @property
    def is_blank(self) -> bool:
        """Nearly all black or all white, as in the middle of a fade."""
        return self.spread < 8 and (self.mean < 28 or self.mean > 227)


class Analyser(Protocol):
    """Listens to every frame in order, then to the end. Memory must not grow with the number of frames."""

    def process(self, frame: Frame) -> None: ...

    def finish(self, end_seconds: float) -> None:
        """There are no more frames; the last one ends at ``end_seconds``."""


def make_frame(index: int, seconds: float, pixels: Pixels, show: Callable[[tuple[int, int]], Pixels]) -> Frame:
    luma = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
    mean, spread = cv2.meanStdDev(luma)
    glimpse = cv2.resize(pixels, _GLIMPSE_SIZE, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    return Frame(index, seconds, pixels, luma, float(mean[0, 0]), float(spread[0, 0]), glimpse, show)


def distance(one: Glimpse, other: Glimpse) -> float:
    """Root mean square difference of two glimpses, in levels."""
    return float(np.sqrt(np.mean(np.square(one - other))))
