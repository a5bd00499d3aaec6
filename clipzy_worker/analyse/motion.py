"""How much moves, and what the camera does, shot by shot."""

from typing import Any

from clipzy_worker.analyse.base import Frame
from clipzy_worker.analyse.shots import Shots


class Motions:
    """An analyser, to be asked after ``shots``. After ``finish``, ``of_shots`` has a ``ShotMotion`` for each shot."""

    def __init__(self, shots: Shots) -> None:
        self.of_shots: list[dict[str, Any] | None] = []
        self.of_film: dict[str, Any] | None = None
        self._shots = shots

    def process(self, frame: Frame) -> None: ...

    def finish(self, end_seconds: float) -> None:  # noqa: ARG002 - of the protocol
        self.of_shots = [None for _ in self._shots.settled]
