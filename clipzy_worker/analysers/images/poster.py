"""The poster: the frame that represents the video best."""

import math
from dataclasses import dataclass

import cv2

from clipzy_worker.analysers.base import Frame, Pixels
from clipzy_worker.analysers.display_moments import DisplayMoments

_SAMPLE_EVERY_SECONDS = 0.5
# A draft costs a full-size frame, so the next one must be better by this factor.
_MIN_IMPROVEMENT = 1.03
# Key frames have higher quality than those predicted from others.
_PREDICTED_FRAME_WEIGHT = 0.7


@dataclass(frozen=True)
class Draft:
    """The chosen frame as the pass decoded it: a key frame in full quality, another to be decoded again."""

    seconds: float
    pixels: Pixels
    is_key: bool


class Poster:
    """A ``FrameAnalyser``; ``draft`` is its choice, ``None`` before the first frame."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.draft: Draft | None = None
        self._size = size
        self._merit = -1.0
        self._moments = DisplayMoments(_SAMPLE_EVERY_SECONDS)

    def process(self, frame: Frame) -> None:
        if not self._moments.within(frame) and not frame.is_key:
            return
        merit = poster_merit(frame) * (1.0 if frame.is_key else _PREDICTED_FRAME_WEIGHT)
        if merit > self._merit * _MIN_IMPROVEMENT:
            self._merit = merit
            self.draft = Draft(frame.seconds, frame.show(self._size), frame.is_key)

    def finish(self, end_seconds: float) -> None: ...


def poster_merit(frame: Frame) -> float:
    """How well the frame represents the video: exposure, contrast and sharpness. 0 for a blank one."""
    if frame.is_blank:
        return 0.0
    lit = 1 - abs(frame.mean - 118) / 137
    contrast = min(frame.spread / 60, 1.0)
    _mean, sharpness = cv2.meanStdDev(cv2.Laplacian(frame.luma, cv2.CV_16S))
    return lit * contrast * math.log1p(float(sharpness[0, 0]))
