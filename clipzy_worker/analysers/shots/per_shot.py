"""Adds up samples shot by shot, although the end of a shot is known only some seconds later."""

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from clipzy_worker.analysers.shots.shots import Shot, Shots


class Sum(Protocol):
    """The sum of the samples of one shot."""

    def add(self, seconds: float, sample: Any, /) -> None: ...


A = TypeVar("A", bound=Sum)


class PerShot(Generic[A]):
    """One sum for each settled shot; a sample is added to the open shot as soon as no boundary can precede it any more.

    Must be called after ``shots`` has processed the frame. Holds the samples of a few seconds, however long the shot.
    """

    def __init__(self, shots: Shots, new: Callable[[], A]) -> None:
        self._shots, self._new = shots, new
        self._open = new()
        self._waiting: deque[tuple[float, Any]] = deque()
        self._shots_read = 0

    def add(self, seconds: float, sample: Any) -> None:
        self._waiting.append((seconds, sample))

    def settled(self) -> list[tuple[Shot, A]]:
        """The shots that were settled since the last call, with their sums."""
        found = []
        for shot in self._shots.settled[self._shots_read :]:
            self._add_until(shot.end_seconds)
            found.append((shot, self._open))
            self._open = self._new()
        self._shots_read = len(self._shots.settled)
        self._add_until(self._shots.settled_until)
        return found

    def _add_until(self, until_seconds: float) -> None:
        while self._waiting and self._waiting[0][0] < until_seconds:
            self._open.add(*self._waiting.popleft())
