"""Beats and tempo."""

from typing import Any

import numpy as np

from clipzy_storage.models.measurements import Band, Beat
from clipzy_worker.analysers.audio.gap_filling import GapFiller
from clipzy_worker.analysers.audio.metre import beat_likeness
from clipzy_worker.analysers.audio.onsets import BANDS, FRAMES_PER_SECOND, Envelope, Floats, Onsets
from clipzy_worker.analysers.audio.tempo import Numbers, Pulse, flux, pulses
from clipzy_worker.analysers.base import MonoBlock

_CHAPTER_FRAMES = 600 * FRAMES_PER_SECOND
_TIGHTNESS = 100.0
# The next beat follows after this many periods at the latest.
_MAX_PERIODS = 1.6
_RISE_FRAMES = 5
# A beat is moved to an onset within this distance.
_SNAP_FRAMES = 3
# Relative to the median. Fainter beats are removed at both ends of a sequence.
_MIN_STRENGTH_RATIO = 0.25
# Of what begins with the audio, little of the rise is seen.
_MIN_STRENGTH_RATIO_AT_THE_START = 0.05
_MIN_STEADY_RATIO = 0.2
_SAME_TEMPO_TOLERANCE = 0.04
_MIN_BEATS = 4
_DECIMALS = 3
# Drums and chords mark beats more than cymbals do.
_BAND_WEIGHTS = np.array([1.0, 1.3, 0.7])


class Beats:
    """A ``MonoAnalyser``. After ``finish``, ``beats`` lists those of all sections with a steady pulse. ``tempo_bpm`` is
    that of most of these sections, or ``None`` if they are less than a fifth of the audio.

    ``confidence`` is the clarity of the pulse (the autocorrelation at one to four beats) times the strength of the
    onset relative to the median of the section. Chapters of 10 minutes are analysed separately, which bounds memory.
    """

    def __init__(self) -> None:
        self.tempo_bpm: float | None = None
        self.beats: list[Beat] = []
        self._gap_filler = GapFiller()
        self._onsets: Onsets | None = None
        self._audio_seconds = 0.0
        self._found: list[tuple[float, float, Band]] = []  # seconds, confidence, band
        self._tempi: list[tuple[float, float]] = []  # seconds, beats per minute

    def process(self, block: MonoBlock) -> None:
        run = self._gap_filler.fill(block)
        if run.begins_seconds is not None:
            self._track_chapter()
            self._onsets = Onsets(run.begins_seconds)
        if self._onsets is not None:
            self._onsets.add(run.samples)
            if self._onsets.frames >= _CHAPTER_FRAMES:
                self._track_chapter()

    def finish(self, end_seconds: float) -> None:
        self._track_chapter()
        inside = [found for found in self._found if 0 <= found[0] <= end_seconds]
        inside.sort(key=lambda found: found[0])
        self.beats = [Beat(time_seconds=at, confidence=confidence, band=band) for at, confidence, band in inside]
        self.tempo_bpm = _most_common(self._tempi, self._audio_seconds)

    def _track_chapter(self) -> None:
        if self._onsets is None:
            return
        envelope = self._onsets.take()
        self._audio_seconds += len(envelope.strength) / FRAMES_PER_SECOND
        by_band = flux(envelope.strength)
        onsets = by_band @ _BAND_WEIGHTS
        for pulse in pulses(by_band):
            frames = _track(by_band, onsets, pulse)
            if len(frames) >= _MIN_BEATS:
                self._tempi.append(_tempo(frames))
                self._found += _beats(frames, onsets, envelope, pulse)


def _track(by_band: Numbers, onsets: Numbers, pulse: Pulse) -> Numbers:
    """Frames of the beats, as fractions: the sequence that is most like beats and has the most regular period, moved to
    onsets.

    D. Ellis, "Beat tracking by dynamic programming", Journal of New Music Research 36 (2007).
    """
    strength = onsets[pulse.first : pulse.end]
    strength = strength / (strength.std() + 1e-9)
    frames = np.arange(pulse.first, pulse.end)
    periods = np.interp(frames, pulse.frames, pulse.periods)
    beats = _best_sequence(beat_likeness(by_band[pulse.first : pulse.end], periods), periods)
    at_the_start = beats + pulse.first < _RISE_FRAMES
    moved = np.array(
        [beat if first else _peak(strength, beat) for beat, first in zip(beats.tolist(), at_the_start, strict=True)]
    )
    least = np.where(at_the_start, _MIN_STRENGTH_RATIO_AT_THE_START, _MIN_STRENGTH_RATIO) * np.median(strength[beats])
    strong = np.flatnonzero(strength[beats] >= least)
    return moved[strong[0] : strong[-1] + 1] + pulse.first if len(strong) else moved[:0]


def _best_sequence(likeness: Numbers, periods: Numbers) -> np.ndarray[Any, np.dtype[np.intp]]:
    score, origin = likeness.copy(), np.full(len(likeness), -1)
    first = int(periods.max() * _MAX_PERIODS) + 1
    costs: dict[int, tuple[int, int, Numbers]] = {}
    keys = np.rint(periods * 4).astype(int).tolist()
    for n in range(int(periods.min()), len(likeness)):
        key = keys[n]
        if key not in costs:
            costs[key] = _costs(key / 4)
        near, far, cost = costs[key]
        start = max(0, n - far)
        if n - near + 1 <= start:
            continue
        before = score[start : n - near + 1] - cost[len(cost) - (n - near + 1 - start) :]
        best = int(before.argmax())
        if before[best] > 0 or n > first:
            score[n] += before[best]
            origin[n] = start + best
    return _backtracked(score, origin, round(periods[-1]))


def _costs(period: float) -> tuple[int, int, Numbers]:
    """The smallest and the largest distance to the previous beat, and the cost of each, largest first."""
    near, far = round(period / _MAX_PERIODS), round(period * _MAX_PERIODS)
    return near, far, _TIGHTNESS * np.square(np.log(np.arange(far, near - 1, -1) / period))


def _backtracked(score: Numbers, origin: Any, period: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    at = len(score) - period + int(score[-period:].argmax())
    path = []
    while at >= 0:
        path.append(at)
        at = int(origin[at])
    return np.array(path[::-1])


def _peak(strength: Numbers, frame: int) -> float:
    """The peak of the onset near this frame, by a parabola through three values."""
    start = max(frame - _SNAP_FRAMES, 0)
    top = start + int(strength[start : frame + _SNAP_FRAMES + 1].argmax())
    if not 0 < top < len(strength) - 1:
        return float(top)
    left, middle, right = strength[top - 1 : top + 2]
    curve = left - 2 * middle + right
    return float(top + (0.5 * (left - right) / curve if curve < 0 else 0.0))


def _tempo(frames: Numbers) -> tuple[float, float]:
    """Seconds of the section and beats per minute, by the line through all of its beats."""
    slope = np.polyfit(np.arange(len(frames)), frames, 1)[0]
    return float(frames[-1] - frames[0]) / FRAMES_PER_SECOND, float(60 * FRAMES_PER_SECOND / slope)


def _beats(frames: Numbers, onsets: Numbers, envelope: Envelope, pulse: Pulse) -> list[tuple[float, float, Band]]:
    """Seconds, confidence and band of each beat."""
    nearest = np.clip(np.rint(frames).astype(int), 0, len(onsets) - 1)
    strength = onsets[nearest]
    clarity = np.interp(frames, pulse.frames, pulse.clarity)
    confidence = np.clip(clarity * np.minimum(strength / (np.median(strength) + 1e-9), 1), 0, 1)
    seconds = envelope.start_seconds + frames / FRAMES_PER_SECOND
    return [
        (round(float(at), _DECIMALS), round(float(sure), _DECIMALS), band)
        for at, sure, band in zip(seconds, confidence, _bands(envelope.energy, nearest), strict=True)
    ]


def _bands(energy: Floats, nearest: Any) -> list[Band]:
    """The band whose power rises most around each of these frames; low notes rise slowly."""
    around = [energy[max(n - _RISE_FRAMES, 0) : n + _RISE_FRAMES + 1].sum(axis=0) for n in nearest]
    return [BANDS[int(rise.argmax())] for rise in around]


def _most_common(tempi: list[tuple[float, float]], audio_seconds: float) -> float | None:
    """The tempo with the longest duration; ``None`` if too little of the audio is steady."""
    best, longest = None, 0.0
    for _, tempo in tempi:
        similar = [(s, bpm) for s, bpm in tempi if abs(bpm / tempo - 1) <= _SAME_TEMPO_TOLERANCE]
        seconds = sum(s for s, _ in similar)
        if seconds > longest:
            best, longest = sum(s * bpm for s, bpm in similar) / seconds, seconds
    steady = sum(s for s, _ in tempi)
    if best is None or steady < _MIN_STEADY_RATIO * audio_seconds or not 30 <= best <= 300:
        return None
    return round(best, 2)
