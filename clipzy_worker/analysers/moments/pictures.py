"""What the pictures of each shot and of each cell show, as far as moments are scored by it."""

import math
from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Frame, Pixels
from clipzy_worker.analysers.color.cielab import lab_of
from clipzy_worker.analysers.display_moments import DisplayMoments
from clipzy_worker.analysers.images.poster import poster_merit
from clipzy_worker.analysers.moments.cells import CELL_SECONDS
from clipzy_worker.analysers.shots.per_shot import PerShot
from clipzy_worker.analysers.shots.shots import Shots

BINS = 8
"""Of each axis of a histogram."""

Histogram = NDArray[np.float32]

_ROUNDING = 1e-6  # of a cell
# Nearly all colours are within 64 of grey; those beyond are in the outermost bins.
_LIGHTNESS_STEP, _CHROMA_STEP, _MOST_CHROMA = 32, 16, 64


@dataclass(frozen=True)
class ShownPictures:
    """``histograms`` has a row for each shot, which adds up to 1, or to 0 if all of it is blank; ``merits`` has one
    value for each cell of the video, 0 where it is blank."""

    histograms: Histogram
    merits: NDArray[np.float64]


class MomentPictures:
    """A ``FrameAnalyser``, to be called after ``shots``. Looks at the frame displayed in the middle of each cell.

    ``shown`` has the results after ``finish``. Memory grows by 4 bytes a cell and 2 kB a shot.
    """

    def __init__(self, shots: Shots) -> None:
        self._moments = DisplayMoments(CELL_SECONDS, start_seconds=CELL_SECONDS / 2)
        self._merits = array("f")
        self._sums = PerShot(shots, _HistogramSum)
        self._histograms: list[Histogram] = []

    @property
    def shown(self) -> ShownPictures:
        histograms = np.stack(self._histograms) if self._histograms else np.zeros((0, BINS**3), np.float32)
        return ShownPictures(histograms, np.asarray(self._merits, np.float64))

    def process(self, frame: Frame) -> None:
        if moments := self._moments.within(frame):
            self._add(frame, moments)
        self._take_settled_shots()

    def finish(self, end_seconds: float) -> None:  # noqa: ARG002 - required by the interface
        self._take_settled_shots()

    def _add(self, frame: Frame, moments: range) -> None:
        first = math.ceil((frame.seconds - CELL_SECONDS / 2) / CELL_SECONDS - _ROUNDING)
        before = max(first - moments.start, 0)  # those before the first frame show nothing
        count = len(moments) - before
        merit = poster_merit(frame)
        self._merits.extend([0.0] * before + [merit] * count)
        if merit and count:
            self._sums.add(frame.seconds, (histogram(frame.small_picture[::2, ::2]), count))

    def _take_settled_shots(self) -> None:
        self._histograms += [total.mean for _shot, total in self._sums.settled()]


def histogram(pixels: Pixels) -> Histogram:
    """The share of the pixels, which are BGR, in each bin of L*, a* and b*."""
    lightness, *chroma = lab_of(pixels)
    red, yellow = (np.clip((axis.astype(np.intp) - 128 + _MOST_CHROMA) // _CHROMA_STEP, 0, BINS - 1) for axis in chroma)
    bins = (lightness.astype(np.intp) // _LIGHTNESS_STEP * BINS + red) * BINS + yellow
    return np.asarray(np.bincount(bins, minlength=BINS**3) / len(bins), np.float32)


class _HistogramSum:
    """The histograms of one shot, by how long each is displayed."""

    def __init__(self) -> None:
        self._sum = np.zeros(BINS**3, np.float32)
        self._count = 0

    @property
    def mean(self) -> Histogram:
        return self._sum / np.float32(max(self._count, 1))

    def add(self, _seconds: float, sample: tuple[Histogram, int]) -> None:
        one, count = sample
        self._sum += one * count
        self._count += count
