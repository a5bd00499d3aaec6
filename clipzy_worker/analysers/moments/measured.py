"""What is known of a video before its moments are scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clipzy_storage.models.measurements import Beat, Span
from clipzy_worker.analysers.audio.loudness import FLOOR_LUFS, STEPS_PER_SECOND
from clipzy_worker.analysers.moments.cells import CELL_SECONDS, Numbers, cell_count
from clipzy_worker.analysers.moments.pictures import ShownPictures


@dataclass(frozen=True)
class MeasuredShot:
    start_seconds: float
    end_seconds: float
    is_handheld: bool = False


@dataclass(frozen=True)
class MeasuredSound:
    """``momentary`` and ``short_term`` are the loudness curves of ``LoudnessMeter``; ``speech`` and ``beats`` are in
    order, and ``is_steady`` says whether there is a tempo."""

    momentary: Numbers
    short_term: Numbers
    speech: Sequence[Span] = ()
    beats: Sequence[Beat] = ()
    is_steady: bool = False

    @cached_property
    def speech_edges(self) -> tuple[Numbers, Numbers]:
        """Where each section with speech begins, and where it ends."""
        starts = np.array([span.start_seconds for span in self.speech], np.float64)
        return starts, np.array([span.end_seconds for span in self.speech], np.float64)

    @property
    def is_audible(self) -> NDArray[np.bool_]:
        """Of each step of the loudness curves."""
        return np.asarray(self.momentary > FLOOR_LUFS)

    @property
    def speech_ratio(self) -> float:
        """Share of speech in the time that is not silent, so that silence before a video makes no difference."""
        starts, ends = self.speech_edges
        audible_seconds = np.count_nonzero(self.is_audible) / STEPS_PER_SECOND
        return min(float(np.sum(ends - starts)) / audible_seconds, 1.0) if audible_seconds else 0.0


@dataclass(frozen=True)
class MeasuredMotion:
    """The intensity from 0 to 100 in each step from the beginning of the video."""

    intensities: Numbers
    step_seconds: float = CELL_SECONDS


@dataclass(frozen=True)
class Measured:
    """``sound`` and ``motion`` are ``None`` if they were not measured. Shots follow each other without gaps."""

    end_seconds: float
    shots: Sequence[MeasuredShot]
    pictures: ShownPictures
    sound: MeasuredSound | None = None
    motion: MeasuredMotion | None = None

    @property
    def cells(self) -> int:
        return cell_count(self.end_seconds)

    @cached_property
    def shot_starts(self) -> Numbers:
        return np.array([shot.start_seconds for shot in self.shots], np.float64)

    @cached_property
    def shot_edges(self) -> Numbers:
        """Where each shot begins, and where the last one ends."""
        return np.append(self.shot_starts, self.shots[-1].end_seconds)
