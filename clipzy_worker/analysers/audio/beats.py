"""Beats and tempo."""

from typing import Any

import numpy as np

from clipzy_worker.analysers.audio.gap_filling import Continuity
from clipzy_worker.analysers.audio.onsets import BANDS, FRAMES_PER_SECOND, Envelope, Floats, Onsets
from clipzy_worker.analysers.audio.tempo import Numbers, Pulse, flux, pulses
from clipzy_worker.analysers.base import Block

_CHAPTER_FRAMES = 600 * FRAMES_PER_SECOND
_TIGHTNESS = 100.0
_REACH = 1.6  # the next beat comes after this share of a period at the latest
_RISE_FRAMES = 5
_NEAR_FRAMES = 3  # a beat is moved to the onset this near
_FAINT = 0.25  # of the usual strength: such beats are left out at both ends
_MIN_SHARE = 0.2
_SAME_TEMPO = 0.04
_DECIMALS = 3
_WEIGHTS = np.array([1.0, 1.3, 0.7])  # of the bands: beats are carried by drums and chords more than by cymbals


class Beats:
    """A listener. After ``finish``, ``beats`` lists those of every stretch with a steady pulse, and ``tempo_bpm`` is
    that of most of these stretches, or ``None`` where they make up less than a fifth of the sound.

    ``confidence`` is the clarity of the pulse (how like itself the sound is one to four beats later) by how strong the
    onset is against the stretch's median. Chapters of 10 minutes are judged on their own, so that memory stays flat.
    """

    def __init__(self) -> None:
        self.tempo_bpm: float | None = None
        self.beats: list[dict[str, Any]] = []
        self._continuity = Continuity()
        self._onsets: Onsets | None = None
        self._heard_seconds = 0.0
        self._tempi: list[tuple[float, float]] = []  # seconds, beats a minute

    def process(self, block: Block) -> None:
        heard = self._continuity.follow(block)
        if heard.begins_seconds is not None:
            self._judge()
            self._onsets = Onsets(heard.begins_seconds)
        if self._onsets is not None:
            self._onsets.add(heard.samples)
            if self._onsets.frames >= _CHAPTER_FRAMES:
                self._judge()

    def finish(self, end_seconds: float) -> None:
        self._judge()
        self.beats = [beat for beat in self.beats if 0 <= beat["time_seconds"] <= end_seconds]
        self.beats.sort(key=lambda beat: beat["time_seconds"])
        self.tempo_bpm = _commonest(self._tempi, self._heard_seconds)

    def _judge(self) -> None:
        if self._onsets is None:
            return
        envelope = self._onsets.take()
        self._heard_seconds += len(envelope.strength) / FRAMES_PER_SECOND
        by_band = flux(envelope.strength)
        onsets = by_band @ _WEIGHTS
        for pulse in pulses(by_band):
            frames = _track(onsets, pulse)
            if len(frames) >= 4:
                self._tempi.append(_tempo(frames))
                self.beats += _told(frames, onsets, envelope, pulse)


def _track(onsets: Numbers, pulse: Pulse) -> Numbers:
    """Frames of the beats, to fractions: those that together lie on the strongest onsets and keep the period best.

    D. Ellis, "Beat tracking by dynamic programming", Journal of New Music Research 36 (2007).
    """
    strength = onsets[pulse.first : pulse.end]
    strength = strength / (strength.std() + 1e-9)
    frames = np.arange(pulse.first, pulse.end)
    periods = np.interp(frames, pulse.at, pulse.periods)
    beats = _best_sequence(strength, periods)
    usual = np.median(strength[beats])
    strong = np.flatnonzero(strength[beats] >= _FAINT * usual)
    beats = beats[strong[0] : strong[-1] + 1] if len(strong) else beats[:0]
    return np.array([_peak(strength, int(beat)) for beat in beats]) + pulse.first


def _best_sequence(strength: Numbers, periods: Numbers) -> np.ndarray[Any, np.dtype[np.intp]]:
    score, came = strength.copy(), np.full(len(strength), -1)
    first = int(periods.max() * _REACH) + 1
    costs: dict[int, tuple[int, int, Numbers]] = {}
    keys = np.rint(periods * 4).astype(int).tolist()
    for n in range(int(periods.min()), len(strength)):
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
            came[n] = start + best
    return _way_back(score, came, round(periods[-1]))


def _costs(period: float) -> tuple[int, int, Numbers]:
    """The nearest and farthest frames back at which the beat before may be, and what each costs, farthest first."""
    near, far = round(period / _REACH), round(period * _REACH)
    return near, far, _TIGHTNESS * np.square(np.log(np.arange(far, near - 1, -1) / period))


def _way_back(score: Numbers, came: Any, period: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    at = len(score) - period + int(score[-period:].argmax())
    way = []
    while at >= 0:
        way.append(at)
        at = int(came[at])
    return np.array(way[::-1])


def _peak(strength: Numbers, frame: int) -> float:
    """The top of the onset near this frame, by a parabola through three values."""
    start = max(frame - _NEAR_FRAMES, 0)
    top = start + int(strength[start : frame + _NEAR_FRAMES + 1].argmax())
    if not 0 < top < len(strength) - 1:
        return float(top)
    left, middle, right = strength[top - 1 : top + 2]
    curve = left - 2 * middle + right
    return float(top + (0.5 * (left - right) / curve if curve < 0 else 0.0))


def _tempo(frames: Numbers) -> tuple[float, float]:
    """Seconds of the stretch and beats a minute, by the line through all of its beats."""
    slope = np.polyfit(np.arange(len(frames)), frames, 1)[0]
    return float(frames[-1] - frames[0]) / FRAMES_PER_SECOND, float(60 * FRAMES_PER_SECOND / slope)


def _told(frames: Numbers, onsets: Numbers, envelope: Envelope, pulse: Pulse) -> list[dict[str, Any]]:
    nearest = np.clip(np.rint(frames).astype(int), 0, len(onsets) - 1)
    strength = onsets[nearest]
    clarity = np.interp(frames, pulse.at, pulse.clarity)
    confidence = np.clip(clarity * np.minimum(strength / (np.median(strength) + 1e-9), 1), 0, 1)
    seconds = envelope.start_seconds + frames / FRAMES_PER_SECOND
    return [
        {"time_seconds": round(float(at), _DECIMALS), "confidence": round(float(sure), _DECIMALS), "band": band}
        for at, sure, band in zip(seconds, confidence, _bands(envelope.energy, nearest), strict=True)
    ]


def _bands(energy: Floats, nearest: Any) -> list[str]:
    """The band whose power rises most around each of these frames; low notes take longer to rise."""
    around = [energy[max(n - _RISE_FRAMES, 0) : n + _RISE_FRAMES + 1].sum(axis=0) for n in nearest]
    return [BANDS[int(rise.argmax())] for rise in around]


def _commonest(tempi: list[tuple[float, float]], heard_seconds: float) -> float | None:
    """The tempo that most of the time is kept, where enough of the sound has it."""
    best, kept = None, 0.0
    for _, tempo in tempi:
        find_cached = [(s, bpm) for s, bpm in tempi if abs(bpm / tempo - 1) <= _SAME_TEMPO]
        seconds = sum(s for s, _ in find_cached)
        if seconds > kept:
            best, kept = sum(s * bpm for s, bpm in find_cached) / seconds, seconds
    steady = sum(s for s, _ in tempi)
    if best is None or steady < _MIN_SHARE * heard_seconds or not 30 <= best <= 300:
        return None
    return round(best, 2)
