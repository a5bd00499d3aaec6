"""Black bars above and below the film or beside it, found while it runs."""

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Frame, Pixels

_BLACK_LEVEL = 24  # of 255: broadcast black with its noise
_LIT_SHARE = 0.1  # of a line: a logo or a subtitle on a bar does not make it part of the picture
_MIN_SHARE = 0.02  # of the side: less is the dirt of a transfer
_MAX_UNEVENNESS = 0.02  # of the side: bars come in equal pairs, dark skies do not
_LOOKS = 12


class Letterbox:
    """To be shown sampled frames that are not blank. A line is black only if it was on all of them."""

    def __init__(self, shown_size: tuple[int, int]) -> None:
        self._width, self._height = shown_size
        self._small: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None  # lit rows, lit columns
        self._full = np.zeros(self._height, np.bool_), np.zeros(self._width, np.bool_)
        self._frames, self._looks = 0, 0

    def process(self, frame: Frame) -> None:
        lit = _lit(frame.luma)
        self._small = lit if self._small is None else (self._small[0] | lit[0], self._small[1] | lit[1])
        self._frames += 1
        # At each doubling, so that few full pictures are painted; and only where there may be bars.
        if self._has_bars(self._small) and self._frames >= 2**self._looks and self._looks < _LOOKS:
            self._looks += 1
            rows, columns = _lit(frame.show((self._width, self._height)).max(axis=2))
            self._full = self._full[0] | rows, self._full[1] | columns

    def active(self, pixels: Pixels) -> Pixels:
        """The picture without its bars, as far as they are known."""
        if self._small is None or not self._has_bars(self._small):
            return pixels
        (top, bottom), (left, right) = (_pair(lit) for lit in self._small)
        height, width = pixels.shape[:2]
        y, x = height / len(self._small[0]), width / len(self._small[1])
        return pixels[int(np.ceil(top * y)) : int(height - bottom * y), int(np.ceil(left * x)) : int(width - right * x)]

    def bars(self) -> dict[str, int] | None:
        """The ``Letterbox`` of ``output.json``; ``None`` where the picture fills the frame."""
        if self._small is None or not self._looks or not self._has_bars(self._small) or not self._has_bars(self._full):
            return None
        (top, bottom), (left, right) = (_pair(lit) for lit in self._full)
        return {"top": top, "bottom": bottom, "left": left, "right": right}

    @staticmethod
    def _has_bars(lit: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> bool:
        return any(_pair(lines) != (0, 0) for lines in lit)


def _lit(luma: Pixels) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows and which columns have something to see."""
    lit = luma > _BLACK_LEVEL
    return lit.mean(axis=1) > _LIT_SHARE, lit.mean(axis=0) > _LIT_SHARE


def _pair(lit: NDArray[np.bool_]) -> tuple[int, int]:
    """How many lines are black at the begin and at the end, where that is an even pair of bars; else 0 and 0."""
    length = len(lit)
    if not lit.any():
        return 0, 0
    first, last = int(lit.argmax()), int(lit[::-1].argmax())
    even = abs(first - last) <= max(1, _MAX_UNEVENNESS * length)
    return (first, last) if even and min(first, last) >= _MIN_SHARE * length else (0, 0)
