"""The boundary between two shots, and the interface of its detectors."""

from dataclasses import dataclass
from typing import Protocol

from clipzy_storage.models.output import Transition
from clipzy_worker.analysers.base import Frame

_RANK: dict[Transition, int] = {"dissolve": 0, "cut": 1, "fade": 2, "start": 3}


@dataclass(frozen=True)
class Boundary:
    """A new shot begins at ``seconds``, the time of a frame; the change lasts from ``first`` to ``last``."""

    seconds: float
    transition: Transition
    first: float
    last: float

    def overrules(self, other: "Boundary") -> bool:
        """Whether both overlap in time and this one is of the more reliable kind."""
        overlaps = self.first <= other.last and other.first <= self.last
        return overlaps and _RANK[self.transition] > _RANK[other.transition]


class Detector(Protocol):
    """Finds one kind of boundary, at most ``shots.LAG_SECONDS`` after it unless ``undecided_since`` is set."""

    @property
    def undecided_since(self) -> float | None:
        """If set, the earliest time of a boundary that may be found later than ``shots.LAG_SECONDS`` after it."""

    def process(self, frame: Frame) -> list[Boundary]: ...

    def finish(self) -> list[Boundary]:
        """The boundaries that were held back for further frames."""
