"""The last seconds of the video in few numbers, for detectors of gradual transitions."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Frame

Numbers = NDArray[np.float64]
Signatures = NDArray[np.float32]

# Each one fits changes of up to three quarters of its length.
_WINDOWS_SECONDS = (0.6, 0.8, 1.1, 1.5, 2.0, 2.6, 3.4)
_WINDOWS = np.array(_WINDOWS_SECONDS)
# More frames add cost and no information.
_MIN_INTERVAL_SECONDS = 1 / 31
_ENOUGH_FRAMES_PER_WINDOW = 24
_MIN_FRAMES_PER_WINDOW = 6
# A window is worth a check if its detail falls below this share of that at its ends.
_MAX_DETAIL_RATIO = 0.85


@dataclass(frozen=True)
class HistoryWindow:
    seconds: Numbers
    details: Numbers  # variance of what is finer than a signature
    signatures: Signatures


class FrameHistory:
    """Holds at least the longest window."""

    def __init__(self) -> None:
        capacity = 4 * round(_WINDOWS_SECONDS[-1] / _MIN_INTERVAL_SECONDS)
        self._seconds = np.zeros(capacity)
        self._details = np.zeros(capacity)
        self._signatures: Signatures = np.zeros((0, 0), np.float32)
        self._length = 0

    def clear(self) -> None:
        self._length = 0

    def add(self, frame: Frame) -> bool:
        """Whether the frame was added: one that follows the last too soon is not."""
        if self._length and frame.seconds - self._seconds[self._length - 1] < _MIN_INTERVAL_SECONDS:
            return False
        if not self._signatures.size:
            self._signatures = np.zeros((len(self._seconds), len(frame.signature)), np.float32)
        if self._length == len(self._seconds):
            self._drop_older_half()
        self._seconds[self._length] = frame.seconds
        self._details[self._length] = _detail(frame)
        self._signatures[self._length] = frame.signature
        self._length += 1
        return True

    def windows(self) -> Iterator[HistoryWindow]:
        """Those that end now and in which detail was lost; long ones are subsampled."""
        if self._length < _MIN_FRAMES_PER_WINDOW:
            return
        seconds, details = self._seconds[: self._length], self._details[: self._length]
        least = np.minimum.accumulate(details[::-1])[::-1]  # of this frame and all later ones
        for start in np.searchsorted(seconds, seconds[-1] - _WINDOWS).tolist():
            ends = details[start : start + 2].sum() + details[-2:].sum()
            enough = start > 0 and self._length - start >= _MIN_FRAMES_PER_WINDOW
            if enough and least[start] < _MAX_DETAIL_RATIO * ends / 4:
                part = slice(start, self._length, max(1, (self._length - start) // _ENOUGH_FRAMES_PER_WINDOW))
                yield HistoryWindow(seconds[part], details[part], self._signatures[part])

    def _drop_older_half(self) -> None:
        kept = self._length // 2
        for numbers in (self._seconds, self._details, self._signatures):
            numbers[:kept] = numbers[self._length - kept :]
        self._length = kept


def _detail(frame: Frame) -> float:
    coarse = cv2.meanStdDev(cv2.resize(frame.small_luma, (16, 9), interpolation=cv2.INTER_AREA))[1]
    return float(frame.spread**2 - coarse[0, 0] ** 2)
