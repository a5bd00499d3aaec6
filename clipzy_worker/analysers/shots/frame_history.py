"""The last seconds of the film in few numbers, for those who look for what takes a while."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Frame

Numbers = NDArray[np.float64]
Glimpses = NDArray[np.float32]

_WINDOWS_SECONDS = (0.6, 0.8, 1.1, 1.5, 2.0, 2.6, 3.4)  # each shows changes of up to three quarters of it
_WINDOWS = np.array(_WINDOWS_SECONDS)
_SAMPLE_EVERY_SECONDS = 1 / 31  # more pictures a second add cost and no evidence
_ENOUGH_PICTURES = 24  # in a window; likewise
_FEWEST_PICTURES = 6
_PROMISING = 0.7  # of the detail left on the way: enough to look closer


@dataclass(frozen=True)
class RangeReader:
    seconds: Numbers
    details: Numbers  # variance of what is finer than a glimpse
    signatures: Glimpses


class History:
    """The last pictures in few numbers, as long as the longest window."""

    def __init__(self) -> None:
        capacity = 4 * round(_WINDOWS_SECONDS[-1] / _SAMPLE_EVERY_SECONDS)
        self._seconds = np.zeros(capacity)
        self._details = np.zeros(capacity)
        self._signatures: Glimpses | None = None
        self._length = 0

    def clear(self) -> None:
        self._length = 0

    def add(self, frame: Frame) -> bool:
        """Whether it was taken: pictures that follow the last one too soon are not."""
        if self._length and frame.seconds - self._seconds[self._length - 1] < _SAMPLE_EVERY_SECONDS:
            return False
        if self._signatures is None:
            self._signatures = np.zeros((len(self._seconds), len(frame.signature)), np.float32)
        if self._length == len(self._seconds):
            self._forget()
        self._seconds[self._length] = frame.seconds
        self._details[self._length] = _detail(frame)
        self._signatures[self._length] = frame.signature
        self._length += 1
        return True

    def windows(self) -> Iterator[RangeReader]:
        """Those that end now and in which detail was lost on the way; long ones with some of their pictures only."""
        if self._signatures is None or self._length < _FEWEST_PICTURES:
            return
        seconds, details = self._seconds[: self._length], self._details[: self._length]
        least = np.minimum.accumulate(details[::-1])[::-1]  # from here on
        for start in np.searchsorted(seconds, seconds[-1] - _WINDOWS).tolist():
            ends = details[start : start + 2].sum() + details[-2:].sum()
            enough = start > 0 and self._length - start >= _FEWEST_PICTURES
            if enough and least[start] < _PROMISING * ends / 4:
                part = slice(start, self._length, max(1, (self._length - start) // _ENOUGH_PICTURES))
                yield RangeReader(seconds[part], details[part], self._signatures[part])

    def _forget(self) -> None:
        kept = self._length // 2
        for numbers in (self._seconds, self._details, self._signatures):
            assert numbers is not None
            numbers[:kept] = numbers[self._length - kept :]
        self._length = kept


def _detail(frame: Frame) -> float:
    coarse = cv2.meanStdDev(cv2.resize(frame.small_luma, (16, 9), interpolation=cv2.INTER_AREA))[1]
    return float(frame.spread**2 - coarse[0, 0] ** 2)
