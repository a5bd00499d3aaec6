"""Where one shot ends and the next begins, as the detectors tell it."""

from dataclasses import dataclass
from typing import Literal, Protocol

from clipzy_worker.analysers.base import Frame

Transition = Literal["start", "cut", "fade", "dissolve"]

_RANK: dict[Transition, int] = {"dissolve": 0, "cut": 1, "fade": 2, "start": 3}


@dataclass(frozen=True)
class Boundary:
    """A new shot begins at ``seconds``, the time of a frame; the change lasts from ``first`` to ``last``."""

    seconds: float
    transition: Transition
    first: float
    last: float

    def overrules(self, other: "Boundary") -> bool:
        """Whether both speak of the same moment and this one is the surer evidence."""
        meets = self.first <= other.last and other.first <= self.last
        return meets and _RANK[self.transition] > _RANK[other.transition]


class Detector(Protocol):
    """Finds one kind of boundary, at most ``shots.LAG_SECONDS`` after it unless ``undecided_since`` says otherwise."""

    @property
    def undecided_since(self) -> float | None:
        """The earliest moment at which a boundary may still be found however late it gets, or ``None``."""

    def process(self, frame: Frame) -> list[Boundary]: ...

    def finish(self) -> list[Boundary]:
        """What was only waiting for more frames."""
