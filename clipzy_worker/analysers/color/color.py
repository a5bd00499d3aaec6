"""Colour statistics of each shot and of the video: grade, dominant colours, black bars."""

import math

from clipzy_storage.models.measurements import Color, Grade
from clipzy_worker.analysers.base import Frame
from clipzy_worker.analysers.color.grade import GradeSum, grade_of, measured
from clipzy_worker.analysers.color.letterbox import LetterboxDetector
from clipzy_worker.analysers.shots.per_shot import PerShot
from clipzy_worker.analysers.shots.shots import Shots

_SAMPLE_EVERY_SECONDS = 0.25
_SAMPLE_BARS_EVERY_SECONDS = 1.0


class Colors:
    """A ``FrameAnalyser``, to be called after ``shots``. Samples four frames per second, except blank ones.

    After ``finish``, ``of_shots`` has one entry for each shot and ``of_video`` is that of the whole; ``None`` if all of
    it is blank.
    """

    def __init__(self, shots: Shots, shown_size: tuple[int, int]) -> None:
        self.of_shots: list[Grade | None] = []
        self.of_video: Color | None = None
        self._sums = PerShot(shots, GradeSum)
        self._total = GradeSum()
        self._letterbox = LetterboxDetector(shown_size)
        self._sampled_at = self._sampled_bars_at = -math.inf

    def process(self, frame: Frame) -> None:
        if frame.seconds - self._sampled_at >= _SAMPLE_EVERY_SECONDS and not frame.is_blank:
            self._sampled_at = frame.seconds
            if frame.seconds - self._sampled_bars_at >= _SAMPLE_BARS_EVERY_SECONDS:
                self._sampled_bars_at = frame.seconds
                self._letterbox.process(frame)
            self._sums.add(frame.seconds, measured(self._letterbox.active(frame.small)[::2, ::2]))
        self._take_settled_shots()

    def finish(self, end_seconds: float) -> None:  # noqa: ARG002 - required by the interface
        self._take_settled_shots()
        grade = grade_of(self._total)
        self.of_video = Color(letterbox=self._letterbox.bars(), **dict(grade)) if grade else None

    def _take_settled_shots(self) -> None:
        for shot, total in self._sums.settled():
            self.of_shots.append(grade_of(total))
            self._total.add(shot.start_seconds, total)
