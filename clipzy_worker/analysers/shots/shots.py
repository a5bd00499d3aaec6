"""Shots: the film from one boundary to the next, settled while it runs."""

from dataclasses import dataclass

from clipzy_storage.models.job_config import ShotOptions
from clipzy_worker.analysers.base import Frame
from clipzy_worker.analysers.shots.boundary import Boundary, Detector, Transition
from clipzy_worker.analysers.shots.cuts import CutDetector
from clipzy_worker.analysers.shots.dissolves import DissolveDetector
from clipzy_worker.analysers.shots.fades import FadeDetector

LAG_SECONDS = 4.5  # no detector speaks later of a boundary, unless it says that it is undecided


@dataclass(frozen=True)
class Shot:
    """``start_seconds`` is the time of its first frame, ``end_seconds`` that of the next shot's or the film's end.

    ``transition_seconds`` is how long the fade or dissolve takes with which it begins, 0 for a cut.
    """

    index: int
    start_seconds: float
    end_seconds: float
    transition: Transition
    transition_seconds: float


class Shots:
    """An analyser. ``settled`` grows at its end as shots become certain, and holds all of them after ``finish``.

    They follow each other without gaps, begin at 0 and end with the film; a shot shorter than ``min_seconds`` is part
    of the one before it. No boundary will be found any more before ``settled_until``.
    """

    def __init__(self, options: ShotOptions) -> None:
        self.settled: list[Shot] = []
        self.settled_until = 0.0
        self._min_seconds = options.min_seconds
        self._detectors: tuple[Detector, ...] = (CutDetector(options.sensitivity), FadeDetector(), DissolveDetector())
        self._recent: list[Boundary] = []  # in doubt, or near enough to overrule one that is
        self._judged_until = 0.0
        self._open = Boundary(0.0, "start", 0.0, 0.0)
        self._next: Boundary | None = None  # begins a shot if that proves to be long enough

    def process(self, frame: Frame) -> None:
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
            self._next = boundary  # in place of one whose shot was too short

    def _begin_if_long_enough(self, until_seconds: float) -> None:
        if self._next is not None and until_seconds - self._next.seconds >= self._min_seconds:
            self._close(self._next.seconds)
            self._open, self._next = self._next, None

    def _close(self, end_seconds: float) -> None:
        begin = self._open
        shot = Shot(len(self.settled), begin.seconds, end_seconds, begin.transition, begin.last - begin.first)
        self.settled.append(shot)
