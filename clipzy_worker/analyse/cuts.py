"""Hard cuts, by PySceneDetect's adaptive detector, less those that are flashes."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from scenedetect import AdaptiveDetector, FrameTimecode

from clipzy_worker.analyse.base import Frame, Glimpse, distance
from clipzy_worker.analyse.boundaries import Boundary

# After a flash, a jolt of the camera or a damaged picture the scene comes back within this time.
_FLASH_SECONDS = 0.25
_FLASH_LIKENESS = 0.35  # of the jump at the cut
_MIN_JUMP = 14.0  # levels; in the dark, hues change wildly where there is nothing to see
_ANY_RATE = 25.0  # the detector only counts frames; what time it is, we know


@dataclass(frozen=True)
class _Seen:
    index: int
    seconds: float
    glimpse: Glimpse


class CutDetector:
    """Reports a cut about a quarter of a second after it, when it is clear that the old scene stays away."""

    undecided_since: float | None = None

    def __init__(self) -> None:
        self._adaptive = AdaptiveDetector(min_scene_len=0)
        self._seen: deque[_Seen] = deque()
        self._waiting: deque[int] = deque()  # indexes of cuts that may yet prove to be flashes

    def process(self, frame: Frame) -> list[Boundary]:
        self._seen.append(_Seen(frame.index, frame.seconds, frame.glimpse))
        timecode = FrameTimecode(frame.index, fps=_ANY_RATE)
        self._waiting += [cut.frame_num for cut in self._adaptive.process_frame(timecode, frame.pixels)]
        found = self._decide(frame.seconds - _FLASH_SECONDS)
        self._forget()
        return found

    def finish(self) -> list[Boundary]:
        return self._decide(float("inf"))

    def _decide(self, until_seconds: float) -> list[Boundary]:
        found = []
        while self._waiting and (cut := self._at(self._waiting[0])).seconds <= until_seconds:
            self._waiting.popleft()
            if self._jump(cut) >= _MIN_JUMP and not self._is_flash(cut):
                found.append(Boundary(cut.seconds, "cut", cut.seconds, cut.seconds))
        return found

    def _at(self, index: int) -> _Seen:
        return self._seen[index - self._seen[0].index]

    def _jump(self, cut: _Seen) -> float:
        return distance(self._at(cut.index - 1).glimpse, cut.glimpse)

    def _is_flash(self, cut: _Seen) -> bool:
        near = [seen for seen in self._seen if abs(seen.seconds - cut.seconds) <= _FLASH_SECONDS]
        before = np.array([seen.glimpse for seen in near if seen.index < cut.index])
        after = np.array([seen.glimpse for seen in near if seen.index >= cut.index])
        if len(before) == 0:
            return False  # so few frames a second that a flash cannot be told from a shot
        nearest = min(float(np.sqrt(np.mean(np.square(before - one), axis=1)).min()) for one in after)
        return nearest < _FLASH_LIKENESS * self._jump(cut)

    def _forget(self) -> None:
        # Enough for a cut found late by the detector's window and looked at from both sides.
        oldest_needed = self._waiting[0] if self._waiting else self._seen[-1].index - 2 * self._adaptive.window_width
        while len(self._seen) > 1 and self._seen[0].index < oldest_needed - 1 and self._is_old(oldest_needed):
            self._seen.popleft()

    def _is_old(self, index: int) -> bool:
        return self._seen[0].seconds < self._at(max(index, self._seen[0].index)).seconds - _FLASH_SECONDS
