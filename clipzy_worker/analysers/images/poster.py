"""The poster: which picture would stand best for the film."""

import math
from dataclasses import dataclass

import cv2

from clipzy_worker.analysers.base import Frame, Pixels

_SAMPLE_EVERY_SECONDS = 0.5
_BETTER = 1.03  # a draft costs a full picture: it is made anew only where that pays
_IN_BETWEEN = 0.7  # of the merit of a key picture, which is coded without loss from others


@dataclass(frozen=True)
class Draft:
    """The picture as it came by; it may be painted anew with more care, from ``seconds``."""

    seconds: float
    pixels: Pixels


class Poster:
    """An analyser; ``draft`` is what it has chosen, ``None`` before the first picture."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.draft: Draft | None = None
        self._size = size
        self._merit = -1.0
        self._sampled_at = -math.inf

    def process(self, frame: Frame) -> None:
        if not frame.is_key and frame.seconds - self._sampled_at < _SAMPLE_EVERY_SECONDS:
            return
        self._sampled_at = frame.seconds
        merit = poster_merit(frame) * (1.0 if frame.is_key else _IN_BETWEEN)
        if merit > self._merit * _BETTER:
            self._merit = merit
            self.draft = Draft(frame.seconds, frame.show(self._size))

    def finish(self, end_seconds: float) -> None: ...


def poster_merit(frame: Frame) -> float:
    """How well the frame would stand for the film: well lit, rich in contrast, sharp. 0 for a blank one."""
    if frame.is_blank:
        return 0.0
    lit = 1 - abs(frame.mean - 118) / 137
    contrast = min(frame.spread / 60, 1.0)
    sharpness = float(cv2.Laplacian(frame.luma, cv2.CV_16S).std())
    return lit * contrast * math.log1p(sharpness)
