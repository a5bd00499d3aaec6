"""Shots: the video from one boundary to the next, settled during the pass."""

from dataclasses import dataclass

from clipzy_storage.models.job_config import ShotOptions
from clipzy_storage.models.output import Transition
from clipzy_worker.analysers.base import Frame
from clipzy_worker.analysers.shots.boundary import Boundary, Detector
from clipzy_worker.analysers.shots.cuts import CutDetector
from clipzy_worker.analysers.shots.dissolves import DissolveDetector
from clipzy_worker.analysers.shots.fades import FadeDetector

LAG_SECONDS = 4.5
"""No boundary is found later than this after it, unless its detector has declared to be undecided."""


@dataclass(frozen=True)
class Shot:
    """``start_seconds`` is the time of its first frame, ``end_seconds`` that of the next shot or the end of the video.

    ``transition_seconds`` is the duration of the fade or dissolve with which it begins, 0 for a cut.
    """

    index: int
    start_seconds: float
    end_seconds: float
    transition: Transition
    transition_seconds: float


class Shots:
    """A ``FrameAnalyser``. Shots are appended to ``settled`` once they are certain; all are there after ``finish``.

    They follow each other without gaps, begin with the first frame and end with the video and the audio; a shot shorter
    than ``min_seconds`` is part of the one before it. No boundary before ``settled_until`` can be found any more.
    """

    def __init__(self, options: ShotOptions) -> None:
        self.settled: list[Shot] = []
        self.settled_until = 0.0
        self._min_seconds = options.min_seconds
        self._detectors: tuple[Detector, ...] = (CutDetector(options.sensitivity), FadeDetector(), DissolveDetector())
        self._recent: list[Boundary] = []  # undecided, or near enough to overrule one that is
        self._judged_until = 0.0
        self._open = _start(0.0)
        self._next: Boundary | None = None  # begins a shot if that turns out to be long enough

    def process(self, frame: Frame) -> None:
        if frame.index == 0:
            self._open = _start(frame.seconds)
        for detector in self._detectors:
            self._recent += detector.process(frame)
        undecided = [since for detector in self._detectors if (since := detector.undecided_since) is not None]
        self._settle(until_seconds=min([frame.seconds - LAG_SECONDS, *undecided]))

    def finish(self, end_seconds: float) -> None:
        for detector in self._detectors:
            self._recent += detector.finish()
        self._settle(until_seconds=end_seconds)
        self._close(end_seconds)

    def _settle(self, *, until_seconds: float) -> None:
        if until_seconds <= self._judged_until:
            return
        for boundary in sorted(self._recent, key=lambda boundary: boundary.seconds):
            if self._judged_until < boundary.seconds <= until_seconds and self._counts(boundary):
                self._take(boundary)
        self._judged_until = until_seconds
        self._begin_if_long_enough(until_seconds)
        self.settled_until = self._next.seconds if self._next else until_seconds
        self._recent = [boundary for boundary in self._recent if boundary.last > until_seconds - LAG_SECONDS]

    def _counts(self, boundary: Boundary) -> bool:
        return not any(other.overrules(boundary) for other in self._recent)

    def _take(self, boundary: Boundary) -> None:
        self._begin_if_long_enough(boundary.seconds)
        if boundary.seconds - self._open.seconds >= self._min_seconds:
            self._next = boundary  # replaces one whose shot is too short

    def _begin_if_long_enough(self, until_seconds: float) -> None:
        if self._next is not None and until_seconds - self._next.seconds >= self._min_seconds:
            self._close(self._next.seconds)
            self._open, self._next = self._next, None

    def _close(self, end_seconds: float) -> None:
        begin = self._open
        shot = Shot(len(self.settled), begin.seconds, end_seconds, begin.transition, begin.last - begin.first)
        self.settled.append(shot)


def _start(seconds: float) -> Boundary:
    return Boundary(seconds, "start", seconds, seconds)
