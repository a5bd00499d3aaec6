"""Adds up what is measured on each frame, shot by shot, though where a shot ends is known only some seconds later."""

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from clipzy_worker.analysers.shots.shots import Shot, Shots


class Sum(Protocol):
    """What the samples of one shot are added to."""

    def add(self, seconds: float, sample: Any, /) -> None: ...


A = TypeVar("A", bound=Sum)


class PerShot(Generic[A]):
    """A sum for each shot that is settled; samples of the open one are added up as they become certain.

    To be asked after ``shots`` has seen the frame. Holds the samples of a few seconds, however long the shot.
    """

    def __init__(self, shots: Shots, new: Callable[[], A]) -> None:
        self._shots, self._new = shots, new
        self._open = new()
        self._waiting: deque[tuple[float, Any]] = deque()
        self._taken = 0

    def add(self, seconds: float, sample: Any) -> None:
        self._waiting.append((seconds, sample))

    def settled(self) -> list[tuple[Shot, A]]:
        """The shots that have been settled since the last call, with their sums."""
        found = []
        for shot in self._shots.settled[self._taken :]:
            self._pour(shot.end_seconds)
            found.append((shot, self._open))
            self._open = self._new()
        self._taken = len(self._shots.settled)
        self._pour(self._shots.settled_until)
        return found

    def _pour(self, until_seconds: float) -> None:
        while self._waiting and self._waiting[0][0] < until_seconds:
            self._open.add(*self._waiting.popleft())
