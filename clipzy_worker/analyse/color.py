"""The look of each shot and of the film: grade, dominant colours, black bars."""

from typing import Any

from clipzy_worker.analyse.base import Frame
from clipzy_worker.analyse.shots import Shots
from clipzy_worker.media.picture import Geometry


class Colors:
    """An analyser, to be asked after ``shots``. After ``finish``, ``of_shots`` has a ``Grade`` for each shot."""

    def __init__(self, shots: Shots, geometry: Geometry) -> None:
        self.of_shots: list[dict[str, Any] | None] = []
        self.of_film: dict[str, Any] | None = None
        self._shots = shots
        self._geometry = geometry

    def process(self, frame: Frame) -> None: ...

    def finish(self, end_seconds: float) -> None:  # noqa: ARG002 - of the protocol
        self.of_shots = [None for _ in self._shots.settled]
