"""Shots: the film from one boundary to the next, settled while it runs."""

from dataclasses import dataclass

from clipzy_worker.analyse.base import Frame
from clipzy_worker.analyse.boundaries import Boundary, Detector, Transition
from clipzy_worker.analyse.cuts import CutDetector
from clipzy_worker.analyse.dissolves import DissolveDetector
from clipzy_worker.analyse.fades import FadeDetector

LAG_SECONDS = 4.5  # no detector speaks later of a boundary, unless it says that it is undecided
MIN_SHOT_SECONDS = 0.3


@dataclass(frozen=True)
class Shot:
    """``start_seconds`` is the time of its first frame, ``end_seconds`` that of the next shot's or the film's end."""

    index: int
    start_seconds: float
    end_seconds: float
    transition: Transition


class Shots:
    """An analyser. ``settled`` grows at its end as shots become certain, and holds all of them after ``finish``.

    They follow each other without gaps, begin at 0 and end with the film. No boundary will be found any more before
    ``settled_until``.
    """

    def __init__(self) -> None:
        self.settled: list[Shot] = []
        self._detectors: tuple[Detector, ...] = (CutDetector(), FadeDetector(), DissolveDetector())
        self._recent: list[Boundary] = []  # in doubt, or near enough to overrule one that is
        self.settled_until = 0.0
        self._open = Boundary(0.0, "start", 0.0, 0.0)

    def process(self, frame: Frame) -> None:
        for detector in self._detectors:
            self._recent += detector.process(frame)
        undecided = [since for detector in self._detectors if (since := detector.undecided_since) is not None]
        self._settle(until_seconds=min([frame.seconds - LAG_SECONDS, *undecided]))

    def finish(self, end_seconds: float) -> None:
        for detector in self._detectors:
            self._recent += detector.finish()
        self._settle(until_seconds=end_seconds - MIN_SHOT_SECONDS)
        self._close(end_seconds)

    def _settle(self, *, until_seconds: float) -> None:
        if until_seconds <= self.settled_until:
            return
        for boundary in sorted(self._recent, key=lambda boundary: boundary.seconds):
            if self.settled_until < boundary.seconds <= until_seconds and self._counts(boundary):
                self._close(boundary.seconds)
                self._open = boundary
        self.settled_until = until_seconds
        self._recent = [boundary for boundary in self._recent if boundary.last > until_seconds - LAG_SECONDS]

    def _counts(self, boundary: Boundary) -> bool:
        long_enough = boundary.seconds - self._open.seconds >= MIN_SHOT_SECONDS
        return long_enough and not any(other.overrules(boundary) for other in self._recent)

    def _close(self, end_seconds: float) -> None:
        self.settled.append(Shot(len(self.settled), self._open.seconds, end_seconds, self._open.transition))
