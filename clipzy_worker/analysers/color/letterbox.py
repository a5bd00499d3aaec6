"""Black bars (letterbox, pillarbox), detected during the pass."""

import numpy as np
from numpy.typing import NDArray

from clipzy_storage.models.measurements import Letterbox
from clipzy_worker.analysers.base import Frame, Pixels

# Broadcast black with its noise, of 255.
_BLACK_LEVEL = 24
# A line with fewer lit pixels is black: a logo or a subtitle on a bar does not make it part of the active area.
_MIN_LIT_RATIO = 0.1
# Relative to the side. Thinner bars are dirt of a transfer.
_MIN_BAR_RATIO = 0.02
# Relative to the side. Bars are pairs of equal size, dark skies are not.
_MAX_BAR_DIFFERENCE_RATIO = 0.02
_MAX_FULL_FRAMES = 12


class LetterboxDetector:
    """Takes sampled frames that are not blank. A line is black only if it is black on all of them."""

    def __init__(self, shown_size: tuple[int, int]) -> None:
        self._width, self._height = shown_size
        self._small: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None  # lit rows, lit columns
        self._full = np.zeros(self._height, np.bool_), np.zeros(self._width, np.bool_)
        self._frames, self._full_frames = 0, 0

    def process(self, frame: Frame) -> None:
        lit = _lit(frame.luma)
        self._small = lit if self._small is None else (self._small[0] | lit[0], self._small[1] | lit[1])
        self._frames += 1
        # At each doubling of the count, since a full-size frame is expensive; and only if there may be bars.
        if (
            self._has_bars(self._small)
            and self._frames >= 2**self._full_frames
            and self._full_frames < _MAX_FULL_FRAMES
        ):
            self._full_frames += 1
            rows, columns = _lit(frame.show((self._width, self._height)).max(axis=2))
            self._full = self._full[0] | rows, self._full[1] | columns

    def active(self, pixels: Pixels) -> Pixels:
        """The frame without its bars, as far as they are known."""
        if self._small is None or not self._has_bars(self._small):
            return pixels
        (top, bottom), (left, right) = (_pair(lit) for lit in self._small)
        height, width = pixels.shape[:2]
        y, x = height / len(self._small[0]), width / len(self._small[1])
        return pixels[int(np.ceil(top * y)) : int(height - bottom * y), int(np.ceil(left * x)) : int(width - right * x)]

    def bars(self) -> Letterbox | None:
        """``None`` if there are no bars."""
        if (
            self._small is None
            or not self._full_frames
            or not self._has_bars(self._small)
            or not self._has_bars(self._full)
        ):
            return None
        (top, bottom), (left, right) = (_pair(lit) for lit in self._full)
        return Letterbox(top=top, bottom=bottom, left=left, right=right)

    @staticmethod
    def _has_bars(lit: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> bool:
        return any(_pair(lines) != (0, 0) for lines in lit)


def _lit(luma: Pixels) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows and which columns are not black."""
    lit = luma > _BLACK_LEVEL
    return lit.mean(axis=1) > _MIN_LIT_RATIO, lit.mean(axis=0) > _MIN_LIT_RATIO


def _pair(lit: NDArray[np.bool_]) -> tuple[int, int]:
    """The number of black lines at the beginning and at the end, if they are a pair of bars; else 0 and 0."""
    length = len(lit)
    if not lit.any():
        return 0, 0
    first, last = int(lit.argmax()), int(lit[::-1].argmax())
    is_pair = abs(first - last) <= max(1, _MAX_BAR_DIFFERENCE_RATIO * length)
    return (first, last) if is_pair and min(first, last) >= _MIN_BAR_RATIO * length else (0, 0)
