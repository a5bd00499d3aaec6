"""The look of each shot and of the film: grade, dominant colours, black bars."""

import math
from typing import Any

from clipzy_worker.analysers.base import Frame
from clipzy_worker.analysers.color.grade import GradeSum, grade_of, measured
from clipzy_worker.analysers.color.letterbox import Letterbox
from clipzy_worker.analysers.shots.per_shot import PerShot
from clipzy_worker.analysers.shots.shots import Shots

_SAMPLE_EVERY_SECONDS = 0.25
_LOOK_FOR_BARS_EVERY_SECONDS = 1.0


class Colors:
    """An analyser, to be asked after ``shots``. Looks at four pictures a second, at those with something to see.

    After ``finish``, ``of_shots`` has a ``Grade`` for each shot and ``of_film`` the ``Color`` of the whole; ``None``
    where all of it is blank.
    """

    def __init__(self, shots: Shots, shown_size: tuple[int, int]) -> None:
        self.of_shots: list[dict[str, Any] | None] = []
        self.of_film: dict[str, Any] | None = None
        self._sums = PerShot(shots, GradeSum)
        self._film = GradeSum()
        self._letterbox = Letterbox(shown_size)
        self._sampled_at = self._looked_for_bars_at = -math.inf

    def process(self, frame: Frame) -> None:
        if frame.seconds - self._sampled_at >= _SAMPLE_EVERY_SECONDS and not frame.is_blank:
            self._sampled_at = frame.seconds
            if frame.seconds - self._looked_for_bars_at >= _LOOK_FOR_BARS_EVERY_SECONDS:
                self._looked_for_bars_at = frame.seconds
                self._letterbox.process(frame)
            self._sums.add(frame.seconds, measured(self._letterbox.active(frame.small)[::2, ::2]))
        self._take_settled_shots()

    def finish(self, end_seconds: float) -> None:  # noqa: ARG002 - of the protocol
        self._take_settled_shots()
        grade = grade_of(self._film)
        self.of_film = grade and grade | {"letterbox": self._letterbox.bars()}

    def _take_settled_shots(self) -> None:
        for shot, total in self._sums.settled():
            self.of_shots.append(grade_of(total))
            self._film.add(shot.start_seconds, total)
