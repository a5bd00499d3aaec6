"""Videos in numbers, for the choice of moments: what would have been measured in them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipzy_storage.models.clip_options import ClipOptions
from clipzy_storage.models.measurements import Beat, Span
from clipzy_worker.analysers.moments.cells import Numbers, cell_count, cell_middles
from clipzy_worker.analysers.moments.measured import Measured, MeasuredMotion, MeasuredShot, MeasuredSound
from clipzy_worker.analysers.moments.pictures import BINS, ShownPictures
from clipzy_worker.analysis.chosen_sections import chosen_sections
from clipzy_worker.analysis.sections import Section
from clipzy_worker.decode.frame_index import FrameIndex

RATE = 25
QUIET_LUFS, LOUD_LUFS = -45.0, -15.0


@dataclass(frozen=True)
class Story:
    """A video in numbers: ``cuts`` begin further shots, ``loud`` and ``lively`` are sections that stand out."""

    seconds: float = 120.0
    cuts: tuple[float, ...] = ()
    loud: tuple[tuple[float, float], ...] = ()
    lively: tuple[tuple[float, float], ...] = ()
    speech: tuple[tuple[float, float], ...] = ()
    beats: tuple[float, ...] = ()
    blank: tuple[tuple[float, float], ...] = ()
    has_sound: bool = True
    has_motion: bool = True

    def frames(self) -> FrameIndex:
        index = FrameIndex()
        for frame in range(round(self.seconds * RATE)):
            index.add(frame / RATE)
        index.end_seconds = self.seconds
        return index

    def measured(self) -> Measured:
        edges = [0.0, *self.cuts, self.seconds]
        middles = cell_middles(cell_count(self.seconds))
        return Measured(
            end_seconds=self.seconds,
            shots=[MeasuredShot(start, end) for start, end in itertools.pairwise(edges)],
            pictures=ShownPictures(self._histograms(len(edges) - 1), np.where(_within(middles, self.blank), 0.0, 1.0)),
            sound=self._sound() if self.has_sound else None,
            motion=MeasuredMotion(np.where(_within(middles, self.lively), 80.0, 10.0)) if self.has_motion else None,
        )

    def choose(self, options: ClipOptions) -> tuple[list[Section], list[str]]:
        return chosen_sections(options, self.measured(), self.frames())

    def times(self, options: ClipOptions) -> list[tuple[float, float]]:
        return [(one.frames.start / RATE, one.frames.stop / RATE) for one in self.choose(options)[0]]

    def _histograms(self, shots: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        found = np.zeros((shots, BINS**3), np.float32)
        found[np.arange(shots), np.arange(shots) * 7 % BINS**3] = 1
        return found

    def _sound(self) -> MeasuredSound:
        steps = (np.arange(round(self.seconds * 10), dtype=np.float64) + 1) / 10 - 0.2
        levels = np.where(_within(steps, self.loud), LOUD_LUFS, QUIET_LUFS)
        return MeasuredSound(
            momentary=levels,
            short_term=10
            * np.log10(np.convolve(np.pad(10 ** (levels / 10), (29, 0), mode="edge"), np.full(30, 1 / 30), "valid")),
            speech=[Span(start_seconds=start, end_seconds=end) for start, end in self.speech],
            beats=[Beat(time_seconds=beat, confidence=0.9, band="bass") for beat in self.beats],
            is_steady=bool(self.beats),
        )


def _within(seconds: Numbers, spans: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    found = np.zeros(len(seconds), np.bool_)
    for start, end in spans:
        found |= (seconds >= start) & (seconds < end)
    return found


EVERY_TEN = tuple(float(cut) for cut in range(10, 120, 10))
