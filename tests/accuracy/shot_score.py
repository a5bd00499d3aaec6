"""How well boundaries that were found fit those that are true."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenedetect import (
    AdaptiveDetector,
    ContentDetector,
    HashDetector,
    HistogramDetector,
    SceneDetector,
    ThresholdDetector,
    open_video,
)

from tests.support.media.joined_films import Truth

DETECTORS: tuple[type[SceneDetector], ...] = (
    *(AdaptiveDetector, ContentDetector, HashDetector, HistogramDetector, ThresholdDetector),
)


@dataclass(frozen=True)
class Found:
    seconds: float
    kind: str = ""  # empty where a detector does not tell kinds apart


@dataclass(frozen=True)
class Score:
    right: int = 0
    missed: int = 0
    wrong: int = 0

    @property
    def f1(self) -> float:
        """1 where there was nothing to find and nothing was found."""
        total = 2 * self.right + self.missed + self.wrong
        return 2 * self.right / total if total else 1.0

    def __add__(self, other: "Score") -> "Score":
        return Score(self.right + other.right, self.missed + other.missed, self.wrong + other.wrong)


def score(truths: Sequence[Truth], found: Iterable[Found], *, tolerance_seconds: float) -> Score:
    """A boundary is right within the change it belongs to, or this far beside it, and if it is of its kind.

    Each true one counts once; what else was found there is wrong.
    """
    open_truths, wrong = list(truths), 0
    for one in found:
        fitting = [truth for truth in open_truths if _fits(one, truth, tolerance_seconds)]
        if fitting:
            open_truths.remove(min(fitting, key=lambda truth: abs((truth.first + truth.last) / 2 - one.seconds)))
        else:
            wrong += 1
    return Score(len(truths) - len(open_truths), len(open_truths), wrong)


def scenedetect(path: Path) -> dict[str, list[Found]]:
    """What PySceneDetect's detectors find with their defaults, at full size; all of them look at one decode."""
    video = open_video(str(path))
    detectors = {kind.__name__: kind() for kind in DETECTORS}
    cuts: dict[str, list[Any]] = {name: [] for name in detectors}
    while (picture := video.read()) is not False:
        for name, detector in detectors.items():
            cuts[name] += detector.process_frame(video.position, picture)
    for name, detector in detectors.items():
        cuts[name] += detector.post_process(video.position)
    return {name: [Found(cut.seconds) for cut in each] for name, each in cuts.items()}


def _fits(found: Found, truth: Truth, tolerance_seconds: float) -> bool:
    inside = truth.first - tolerance_seconds <= found.seconds <= truth.last + tolerance_seconds
    return inside and found.kind in ("", truth.kind)
