"""The input of analysers and their interfaces."""

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

SAMPLE_RATE_HZ = 16_000
"""Of the mono mix that is passed to ``MonoAnalyser``."""

_SIGNATURE_SIZE = (16, 9)
_SMALL_PIXELS = 160 * 90
_BLANK_SPREAD = 8
_BLACK_MEAN, _WHITE_MEAN = 28, 227


@dataclass(eq=False)
class Frame:
    """One frame of the video, scaled down for analysis, upright and with square pixels; levels are 0 to 255.

    It is displayed from ``seconds`` to ``until_seconds``: to the next frame, or as long as the file says of the last.
    ``pixels`` is BGR, about 320x180; ``small`` is the same at about 160x90. ``mean`` and ``spread`` (standard
    deviation) are those of its luma. ``show`` scales the decoded frame to a width and height. A key frame is encoded
    independently of all others. ``index`` counts the frames that are examined, see ``enough_frames``. A frame of
    another shape than most fills ``fitted`` (width, height) in the middle of ``pixels``, and the rest is black.
    """

    index: int
    seconds: float
    until_seconds: float
    scaled: Callable[[], Pixels]
    show: Callable[[tuple[int, int]], Pixels]
    is_key: bool = False
    fitted: tuple[int, int] | None = None

    def scale(self) -> None:
        """Compute ``pixels`` now; else that is done where they are first used."""
        _ = self.pixels

    @cached_property
    def pixels(self) -> Pixels:
        return self.scaled()

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
        """The frame at 16x9 pixels, 432 values: insensitive to noise and small motion."""
        return np.asarray(
            cv2.resize(self.small, _SIGNATURE_SIZE, interpolation=cv2.INTER_AREA), dtype=np.float32
        ).ravel()

    @property
    def small_picture(self) -> Pixels:
        """``small``, filled by what is in the middle of it if the rest was added."""
        if self.fitted is None:
            return self.small
        (height, width), (inner_width, inner_height) = self.pixels.shape[:2], self.fitted
        left, top = (width - inner_width) // 2, (height - inner_height) // 2
        inner = self.pixels[top : top + inner_height, left : left + inner_width]
        size = self.small.shape[1], self.small.shape[0]
        return np.asarray(cv2.resize(inner, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)

    @property
    def mean(self) -> float:
        return self._levels[0]

    @property
    def spread(self) -> float:
        return self._levels[1]

    @property
    def is_blank(self) -> bool:
        """Nearly all black or all white, as in the middle of a fade."""
        return self.spread < _BLANK_SPREAD and (self.mean < _BLACK_MEAN or self.mean > _WHITE_MEAN)

    @cached_property
    def _levels(self) -> tuple[float, float]:
        mean, spread = cv2.meanStdDev(self.small_luma)
        return float(mean[0, 0]), float(spread[0, 0])


@dataclass(frozen=True)
class MonoBlock:
    """Some audio, mixed to one channel: float32 from -1 to 1, at ``SAMPLE_RATE_HZ``.

    ``seconds`` is the time of its first sample on the timeline of the video, and may be negative.
    """

    seconds: float
    samples: Samples


class FrameAnalyser(Protocol):
    """Processes every frame in order. Memory must not grow with the number of frames."""

    def process(self, frame: Frame) -> None: ...

    def finish(self, end_seconds: float) -> None:
        """Called after the last frame; video and audio end at ``end_seconds``. The results are complete then."""


class MonoAnalyser(Protocol):
    """Processes the mono mix in order, in blocks of any length. Memory may grow by a few numbers per second."""

    def process(self, block: MonoBlock) -> None: ...

    def finish(self, end_seconds: float) -> None:
        """Called after the last block; video and audio end at ``end_seconds``."""


def reduced_size(width: int, height: int, *, pixels: int) -> tuple[int, int]:
    """Width and height with about this many pixels and the same aspect ratio; not enlarged, and at least 8 a side."""
    scale = min(1.0, (pixels / (width * height)) ** 0.5)
    return max(8, round(width * scale)), max(8, round(height * scale))


def distance(one: Signature, other: Signature) -> float:
    """Root mean square difference of two signatures, in levels."""
    return cv2.norm(one, other, cv2.NORM_L2) / math.sqrt(one.size)
