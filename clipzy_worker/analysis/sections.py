"""The sections of a video that clips are made of."""

from dataclasses import dataclass, field

from clipzy_storage.models.clips import Edges, ScorePart


@dataclass(frozen=True)
class Choice:
    """Why a section was chosen: its score from 0 to 100, of ``parts``, by the weights of ``profile``.

    ``rank`` counts from 1, the best.
    """

    rank: int
    profile: str
    score: float
    parts: list[ScorePart]


@dataclass(frozen=True)
class Section:
    """A half-open range of the frames as displayed. ``choice`` is None for one that was asked for."""

    frames: range
    edges: Edges
    choice: Choice | None = None
    warnings: list[str] = field(default_factory=list)
