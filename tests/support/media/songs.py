"""The pieces of music on which beats are judged, and how."""

from collections.abc import Iterable

from tests.support.media.music import Part, Score, bass, hat, kick, piano, ride, snare, strings

_QUARTERS = (0.0, 1.0, 2.0, 3.0)
_EIGHTHS = tuple(n / 2 for n in range(8))
_SIXTEENTHS = tuple(n / 4 for n in range(16))
_MAJOR = (1.0, 1.25, 1.5)

_BACKBEAT = (Part(kick, (0.0, 2.0)), Part(snare, (1.0, 3.0)), Part(hat, _EIGHTHS))
_BASS = Part(bass, _QUARTERS, 0.8, (1.0,))
_CHORDS = Part(piano, (0.0, 2.0), 0.8, _MAJOR)


def rock(bpm: float, *, human_seconds: float = 0.0, drift: float = 0.0) -> Score:
    parts = (*_BACKBEAT, Part(bass, _EIGHTHS, 0.7, (1.0,)), _CHORDS)
    return Score(bpm, parts, human_seconds=human_seconds, drift=drift)


def drums(bpm: float, *, swing: float = 0.5) -> Score:
    return Score(bpm, _BACKBEAT, swing=swing)


def house(bpm: float) -> Score:
    parts = (Part(kick, _QUARTERS), Part(hat, (0.5, 1.5, 2.5, 3.5), 1.5), Part(snare, (1.0, 3.0), 0.6))
    return Score(bpm, (*parts, Part(bass, (0.5, 1.5, 2.5, 3.5), 0.7, (1.0,)), Part(strings, (0.0,), 1.0, _MAJOR)))


def funk(bpm: float, *, swing: float = 0.5) -> Score:
    parts = (Part(kick, (0.0, 0.75, 2.5)), Part(snare, (1.0, 3.0)), Part(snare, (1.75, 2.25), 0.3))
    return Score(
        bpm, (*parts, Part(hat, _SIXTEENTHS), Part(bass, (0.0, 0.75, 1.5, 2.5, 3.25), 0.9, (1.0,))), swing=swing
    )


def jazz(bpm: float) -> Score:
    parts = (Part(ride, (0.0, 1.0, 1.5, 2.0, 3.0, 3.5), 1.2), Part(hat, (1.0, 3.0), 1.0), _BASS)
    return Score(bpm, (*parts, Part(piano, (1.5, 3.0), 0.7, _MAJOR)), swing=0.66, human_seconds=0.008)


def waltz(bpm: float) -> Score:
    return Score(bpm, (Part(bass, (0.0,), 1.0, (1.0,)), Part(piano, (1.0, 2.0), 0.8, _MAJOR)), beats_in_bar=3)


def ballad(bpm: float) -> Score:
    parts = (Part(kick, (0.0, 2.5), 0.8), Part(snare, (2.0,), 0.6), Part(piano, _EIGHTHS, 0.8, (1.0,)))
    return Score(bpm, (*parts, Part(strings, (0.0, 2.0), 1.5, _MAJOR)), human_seconds=0.01)


def chords(bpm: float) -> Score:
    return Score(bpm, (Part(piano, _QUARTERS, 1.0, _MAJOR), Part(bass, (0.0, 2.0), 0.6, (1.0,))), human_seconds=0.008)


def walking_bass(bpm: float) -> Score:
    return Score(bpm, (_BASS, Part(bass, (1.5, 3.5), 0.4, (1.5,))))


def breakbeat(bpm: float) -> Score:
    parts = (Part(kick, (0.0, 2.5)), Part(snare, (1.0, 3.0)), Part(snare, (1.75, 3.75), 0.4), Part(hat, _EIGHTHS, 1.2))
    return Score(bpm, (*parts, Part(bass, (0.0, 2.5), 1.0, (0.5,))))


SONGS: dict[str, Score] = {
    "rock 92": rock(92),
    "rock 120": rock(120),
    "rock 148": rock(148),
    "rock 110 by people": rock(110, human_seconds=0.012),
    "rock 100 to 112": rock(100, drift=0.12),
    "drums 76": drums(76),
    "drums 132": drums(132),
    "drums 96 shuffled": drums(96, swing=0.66),
    "house 124": house(124),
    "house 140": house(140),
    "funk 104": funk(104),
    "funk 88 swung": funk(88, swing=0.6),
    "jazz 126": jazz(126),
    "jazz 160": jazz(160),
    "waltz 96": waltz(96),
    "waltz 140": waltz(140),
    "ballad 66": ballad(66),
    "ballad 80": ballad(80),
    "chords 84": chords(84),
    "chords 116": chords(116),
    "walking bass 108": walking_bass(108),
    "breakbeat 168": breakbeat(168),
}


SONG_SECONDS = 40.0


def f_measure(truth: Iterable[float], found: Iterable[float], *, within_seconds: float = 0.07) -> float:
    """Of beats, each of which may match one: M. Davies et al., "Evaluation methods for musical audio beat tracking
    algorithms", Queen Mary University of London, 2009, which allows 70 ms."""
    left, found = list(truth), list(found)
    total, matched = len(left) + len(found), 0
    for beat in found:
        near = [true for true in left if abs(true - beat) <= within_seconds]
        if near:
            left.remove(min(near, key=lambda true: abs(true - beat)))
            matched += 1
    return 2 * matched / total if total else 1.0
