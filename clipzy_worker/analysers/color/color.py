"""Colour statistics of each shot and of the video: grade, dominant colours, black bars."""

from clipzy_storage.models.measurements import Color, Grade
from clipzy_worker.analysers.base import Frame, Pixels
from clipzy_worker.analysers.color.grade import GradeSum, grade_of, measured
from clipzy_worker.analysers.color.letterbox import LetterboxDetector
from clipzy_worker.analysers.display_moments import DisplayMoments
from clipzy_worker.analysers.shots.per_shot import PerShot
from clipzy_worker.analysers.shots.shots import Shots

_SAMPLE_EVERY_SECONDS = 0.25
_SAMPLE_BARS_EVERY_SECONDS = 1.0


class Colors:
    """A ``FrameAnalyser``, to be called after ``shots``. Samples the frames at four moments per second, except blank
    ones; a frame that is displayed at several weighs as much.

    After ``finish``, ``of_shots`` has one entry for each shot and ``of_video`` is that of the whole; ``None`` if all of
    it is blank.
    """

    def __init__(self, shots: Shots, shown_size: tuple[int, int]) -> None:
        self.of_shots: list[Grade | None] = []
        self.of_video: Color | None = None
        self._sums = PerShot(shots, GradeSum)
        self._total = GradeSum()
        self._letterbox = LetterboxDetector(shown_size)
        self._moments, self._bar_moments = (
            DisplayMoments(_SAMPLE_EVERY_SECONDS),
            DisplayMoments(_SAMPLE_BARS_EVERY_SECONDS),
        )
        self._bars_are_due = False

    def process(self, frame: Frame) -> None:
        weight = len(self._moments.within(frame))
        self._bars_are_due |= len(self._bar_moments.within(frame)) > 0
        if weight and not frame.is_blank:
            self._sums.add(frame.seconds, measured(self._without_bars(frame)[::2, ::2]).times(weight))
        self._take_settled_shots()

    def finish(self, end_seconds: float) -> None:  # noqa: ARG002 - required by the interface
        self._take_settled_shots()
        grade = grade_of(self._total)
        self.of_video = Color(letterbox=self._letterbox.bars(), **dict(grade)) if grade else None

    def _without_bars(self, frame: Frame) -> Pixels:
        if frame.fitted is not None:  # its bars were added
            return frame.small_picture
        if self._bars_are_due:
            self._bars_are_due = False
            self._letterbox.process(frame)
        return self._letterbox.active(frame.small)

    def _take_settled_shots(self) -> None:
        for shot, total in self._sums.settled():
            self.of_shots.append(grade_of(total))
            self._total.add(shot.start_seconds, total)
