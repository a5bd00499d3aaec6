"""Sound made by numpy, of which is known when it beats: clicks, noises, tones, and a small band. Mono, 16 kHz."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import SAMPLE_RATE_HZ, MonoAnalyser, MonoBlock

RATE = SAMPLE_RATE_HZ

Sound = NDArray[np.float32]
Times = NDArray[np.float64]
Voice = Callable[[float], Sound]  # what one stroke or note sounds like, by its pitch in Hz

_ROOTS_HZ = (110.0, 87.3, 130.8, 98.0)  # A, F, C, G: one a bar


@dataclass(frozen=True)
class Piece:
    """A piece of music, and when its beats are."""

    samples: Sound
    beats: Times


@dataclass(frozen=True)
class Part:
    """What one player does in a bar: strokes at ``steps`` of it (in beats), so loud, with a sound of its own."""

    voice: Voice
    steps: tuple[float, ...]
    level: float = 1.0
    chord: tuple[float, ...] = (0.0,)  # multiples of the bar's root; 0 for what has no pitch


@dataclass(frozen=True)
class Score:
    """A bar that is played over and over. ``swing`` is where the second eighth of a beat falls (0.5 is straight);
    ``human_seconds`` is how far strokes stray; ``drift`` is the share by which the tempo has risen at the end."""

    bpm: float
    parts: tuple[Part, ...]
    beats_in_bar: int = 4
    swing: float = 0.5
    human_seconds: float = 0.0
    drift: float = 0.0
    hiss: float = 0.003


A = TypeVar("A", bound=MonoAnalyser)

_PACKET = 341  # samples of a packet of 1024 at 48 kHz, once they are at 16 kHz


def processed(analyser: A, *runs: tuple[float, Sound], end_seconds: float | None = None) -> A:
    """The analyser, after it has processed these runs of audio, each from its second on, in small blocks."""
    for start_seconds, sound in runs:
        for at in range(0, len(sound), _PACKET):
            analyser.process(MonoBlock(start_seconds + at / RATE, sound[at : at + _PACKET]))
    last_seconds, last = runs[-1]
    analyser.finish(last_seconds + len(last) / RATE if end_seconds is None else end_seconds)
    return analyser


def play(score: Score, seconds: float, *, seed: int = 1) -> Piece:
    random = np.random.default_rng(seed)
    beats = _beat_times(score, seconds)
    sound = np.asarray(random.normal(0, score.hiss, round(seconds * RATE)), dtype=np.float32)
    for bar in range(0, len(beats) - 1, score.beats_in_bar):
        root = _ROOTS_HZ[bar // score.beats_in_bar % len(_ROOTS_HZ)]
        for part in score.parts:
            for step in part.steps:
                at = _when(beats, bar, step, score.swing) + random.normal(0, score.human_seconds)
                for multiple in part.chord:
                    stroke = part.voice(root * multiple)
                    add(sound, stroke * part.level * random.uniform(0.85, 1.0), at)
    return Piece(sound / max(1.0, float(np.abs(sound).max())), beats[beats < seconds])


def clicks(bpm: float, seconds: float, *, first_seconds: float = 0.5) -> Piece:
    """A metronome: 20 ms of a decaying 1 kHz tone at each beat, nothing between."""
    beats = np.arange(first_seconds, seconds - 0.05, 60 / bpm)
    sound = np.zeros(round(seconds * RATE), dtype=np.float32)
    for beat in beats:
        add(sound, _decaying(np.sin(2 * np.pi * 1000 * _time(0.02)), 0.005), beat)
    return Piece(sound, beats)


def noise(colour: str, seconds: float, *, seed: int = 1, level: float = 0.1) -> Sound:
    """``white``, or ``pink`` or ``brown`` (3 or 6 dB less per octave), with this root mean square."""
    power = {"white": 0.0, "pink": 0.5, "brown": 1.0}[colour]
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=round(seconds * RATE)))
    hertz = np.maximum(np.fft.rfftfreq(round(seconds * RATE), 1 / RATE), 20.0)
    return at_level(np.fft.irfft(spectrum / hertz**power, round(seconds * RATE)), level)


def tone(hertz: float, seconds: float, *, level: float = 0.1) -> Sound:
    return at_level(np.sin(2 * np.pi * hertz * _time(seconds)), level)


def at_level(sound: NDArray[np.floating], level: float) -> Sound:
    """The audio with this root mean square."""
    return np.asarray(sound * (level / np.sqrt(np.mean(np.square(sound)))), dtype=np.float32)


def add(sound: Sound, stroke: NDArray[np.floating], at_seconds: float) -> None:
    """Mix ``stroke`` into ``sound`` in place; what hangs over its ends is left out."""
    start = max(0, round(at_seconds * RATE))
    stroke = stroke[: max(0, len(sound) - start)]
    sound[start : start + len(stroke)] += np.asarray(stroke, dtype=np.float32)


@cache
def kick(hertz: float) -> Sound:  # noqa: ARG001 - has no pitch
    time = _time(0.25)
    return _decaying(np.sin(2 * np.pi * (50 * time + 4 * (1 - np.exp(-time / 0.03)))), 0.08) * np.float32(0.9)


@cache
def snare(hertz: float) -> Sound:  # noqa: ARG001 - has no pitch
    time = _time(0.2)
    hiss = np.random.default_rng(2).normal(0, 0.3, len(time))
    return _decaying(hiss + 0.4 * np.sin(2 * np.pi * 190 * time), 0.05) * np.float32(0.8)


@cache
def hat(hertz: float) -> Sound:  # noqa: ARG001 - has no pitch
    hiss = np.random.default_rng(3).normal(0, 0.3, round(0.06 * RATE))
    return _decaying(np.diff(hiss, n=2, prepend=(0, 0)), 0.015) * np.float32(0.25)


@cache
def ride(hertz: float) -> Sound:  # noqa: ARG001 - has no pitch
    hiss = np.random.default_rng(4).normal(0, 0.3, round(0.3 * RATE))
    return _decaying(np.diff(hiss, prepend=0), 0.1) * np.float32(0.2)


@cache
def bass(hertz: float) -> Sound:
    time = _time(0.4)
    return _decaying(sum(np.sin(2 * np.pi * hertz / 2 * n * time) / n**2 for n in (1, 2, 3)), 0.2) * np.float32(0.4)


@cache
def piano(hertz: float) -> Sound:
    time = _time(0.8)
    partials = sum(np.sin(2 * np.pi * hertz * 2 * n * time) / n for n in (1, 2, 3, 4)) * np.minimum(time / 0.005, 1)
    return _decaying(partials, 0.25) * np.float32(0.12)


@cache
def strings(hertz: float) -> Sound:
    """Swells slowly: chords without a stroke that could be heard."""
    time = _time(2.0)
    partials = sum(np.sin(2 * np.pi * hertz * 2 * n * time + n) / n for n in (1, 2, 3, 4, 5))
    return np.asarray(partials * np.sin(np.pi * time / 2.0) ** 2 * 0.1, dtype=np.float32)


def _beat_times(score: Score, seconds: float) -> Times:
    """From 0.25 s to a bar beyond the end; with drift the tempo rises evenly with time."""
    if not score.drift:
        return np.arange(0.25, seconds + score.beats_in_bar * 60 / score.bpm, 60 / score.bpm)
    rate, rise = score.bpm / 60, score.bpm / 60 * score.drift / seconds
    number = np.arange(int((rate + rise * seconds) * seconds) + score.beats_in_bar)
    return np.asarray(0.25 + (np.sqrt(rate**2 + 2 * rise * number) - rate) / rise)


def _when(beats: Times, bar: int, step: float, swing: float) -> float:
    whole, part = int(step), step % 1
    part = part / 0.5 * swing if part <= 0.5 else swing + (part - 0.5) / 0.5 * (1 - swing)
    return float(np.interp(bar + whole + part, np.arange(len(beats)), beats))


def _decaying(sound: NDArray[np.floating] | float, seconds: float) -> Sound:
    sound = np.asarray(sound)
    return np.asarray(sound * np.exp(-np.arange(len(sound)) / RATE / seconds), dtype=np.float32)


def _time(seconds: float) -> NDArray[np.float64]:
    return np.arange(round(seconds * RATE)) / RATE
