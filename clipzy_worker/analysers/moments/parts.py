"""The parts of a score: what each of them is worth in each window, from 0 to 1. ``docs/pipeline.md`` defines them."""

from collections.abc import Callable, Mapping

import numpy as np

from clipzy_storage.models.clips import PartName
from clipzy_worker.analysers.audio.loudness import STEPS_PER_SECOND
from clipzy_worker.analysers.moments.cells import Integral, Numbers, cell_middles, ranks, sampled
from clipzy_worker.analysers.moments.measured import Measured, MeasuredMotion, MeasuredSound
from clipzy_worker.analysers.moments.novelty import novelties
from clipzy_worker.analysers.moments.surprise import surprises
from clipzy_worker.analysers.moments.windows import Windows

# What is louder, or moves more, by so much does so plainly.
_PLAINLY_LOUDER_LU, _PLAINLY_MORE_MOTION = 6.0, 20.0
_SHORT_TERM_SECONDS = 3.0
_HANDHELD_WEIGHT = 0.5
_MAX_BEAT_SECONDS = 2.0
# Around a beat: a cut within it is on the beat.
_ON_BEAT_SECONDS = 0.1


def part_values(measured: Measured, windows: Windows) -> Mapping[PartName, Numbers]:
    """Those parts that can be measured; one value for each window.

    Without sound there are none of sound, without motion none of motion, and so on. A video of one shot has no novelty.
    """
    sound = measured.sound if measured.sound is not None and measured.sound.is_audible.any() else None
    makers: dict[PartName, Callable[[], Numbers | None]] = {
        "speech": lambda: _speech(sound, windows) if sound else None,
        "energy": lambda: windows.means(Integral.of_cells(_energy(sound, measured.cells))) if sound else None,
        "surprise": lambda: windows.means(surprises(sound)) if sound else None,
        "motion": lambda: _motion(measured, measured.motion, windows) if measured.motion else None,
        "novelty": lambda: _novelty(measured, windows),
        "picture": lambda: _picture(measured, windows),
        "rhythm": lambda: _rhythm(sound, measured.shot_starts[1:], windows) if sound else None,
    }
    found = {name: make() for name, make in makers.items()}
    return {name: np.clip(values, 0.0, 1.0) for name, values in found.items() if values is not None}


def is_cut(seconds: Numbers, sound: MeasuredSound | None) -> Numbers:
    """1 for each of these times that lies within speech, 0 for the others."""
    if sound is None:
        return np.zeros(len(seconds))
    starts, ends = sound.speech_edges
    return np.asarray(np.searchsorted(starts, seconds) - np.searchsorted(ends, seconds, side="right"), np.float64)


def _speech(sound: MeasuredSound, windows: Windows) -> Numbers:
    """The share of speech times the share of its sections that are whole."""
    starts, ends = sound.speech_edges
    share = windows.means(Integral.of_spans(starts, ends))
    begun = np.searchsorted(starts, windows.ends)[windows.last]
    over = np.searchsorted(ends, windows.starts, side="right")[windows.first]
    cut = is_cut(windows.starts, sound)[windows.first] + is_cut(windows.ends, sound)[windows.last]
    sections = np.maximum(begun - over, 1)
    return np.asarray(share * (1 - np.minimum(cut / sections, 1)))


def _energy(sound: MeasuredSound, cells: int) -> Numbers:
    """Of each cell the rank of the loudness of the 3 s around it."""
    middles, step_seconds = cell_middles(cells), 1 / STEPS_PER_SECOND
    whole = np.maximum(middles + _SHORT_TERM_SECONDS / 2, _SHORT_TERM_SECONDS - step_seconds)
    levels = sampled(sound.short_term, whole, step_seconds=step_seconds)
    audible = sampled(sound.is_audible.astype(np.float64), middles, step_seconds=step_seconds) > 0
    return ranks(levels, audible, plain=_PLAINLY_LOUDER_LU)


def _motion(measured: Measured, motion: MeasuredMotion, windows: Windows) -> Numbers:
    middles = cell_middles(measured.cells)
    intensities = sampled(motion.intensities, middles, step_seconds=motion.step_seconds)
    merits = _merits(measured)
    values = ranks(intensities, merits > 0, plain=_PLAINLY_MORE_MOTION)
    shot = np.clip(np.searchsorted(measured.shot_starts, middles, side="right") - 1, 0, None)
    is_handheld = np.array([one.is_handheld for one in measured.shots])[shot]
    return windows.means(Integral.of_cells(np.where(is_handheld, _HANDHELD_WEIGHT, 1.0) * values))


def _novelty(measured: Measured, windows: Windows) -> Numbers | None:
    edges = measured.shot_edges
    values = novelties(measured.pictures.histograms, np.diff(edges))
    return None if values is None else windows.means(Integral.of(edges, values))


def _picture(measured: Measured, windows: Windows) -> Numbers | None:
    merits = _merits(measured)
    best = merits.max(initial=0.0)
    return windows.means(Integral.of_cells(merits / best)) if best else None


def _merits(measured: Measured) -> Numbers:
    merits = measured.pictures.merits[: measured.cells]
    return np.pad(merits, (0, measured.cells - len(merits)))


def _rhythm(sound: MeasuredSound, cuts: Numbers, windows: Windows) -> Numbers:
    """The mean confidence of the beats over time; half of it if no cut lies on a beat."""
    beats = np.array([beat.time_seconds for beat in sound.beats], np.float64)
    if len(beats) < 2:
        return np.zeros(len(windows))
    confidence = np.array([beat.confidence for beat in sound.beats], np.float64)
    between = np.where(np.diff(beats) <= _MAX_BEAT_SECONDS, (confidence[1:] + confidence[:-1]) / 2, 0.0)
    nearest = np.clip(np.searchsorted(beats, cuts), 1, len(beats) - 1)
    distance = np.minimum(np.abs(cuts - beats[nearest - 1]), np.abs(cuts - beats[nearest]))
    on_beat = windows.counts(cuts[distance <= _ON_BEAT_SECONDS])
    share = on_beat / np.maximum(windows.counts(cuts), 1)
    return windows.means(Integral.of(beats, between)) * (1 + share) / 2
