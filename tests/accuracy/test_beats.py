"""When the beats are, and in which band."""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from clipzy_worker.analysers.audio.beats import Beats
from tests.support.media.music import (
    RATE,
    Part,
    Piece,
    Score,
    Sound,
    Times,
    clicks,
    hat,
    kick,
    noise,
    play,
    processed,
    snare,
)
from tests.support.media.songs import SONG_SECONDS, SONGS, f_measure

# What librosa 0.11.0 makes of the songs, by ``tests/accuracy/librosa_reference.py``: beats a minute, and the F-measure
# of its beats.
LIBROSA = {
    "rock 92": (93.75, 1.000),
    "rock 120": (117.19, 0.981),
    "rock 148": (144.23, 0.990),
    "rock 110 by people": (110.29, 0.986),
    "rock 100 to 112": (104.17, 0.986),
    "drums 76": (75.00, 0.980),
    "drums 132": (133.93, 0.994),
    "drums 96 shuffled": (93.75, 0.984),
    "house 124": (62.50, 0.629),
    "house 140": (69.44, 0.652),
    "funk 104": (133.93, 0.300),
    "funk 88 swung": (89.29, 0.991),
    "jazz 126": (62.50, 0.651),
    "jazz 160": (81.52, 0.650),
    "waltz 96": (93.75, 0.961),
    "waltz 140": (133.93, 0.849),
    "ballad 66": (133.93, 0.620),
    "ballad 80": (156.25, 0.597),
    "chords 84": (85.23, 0.852),
    "chords 116": (117.19, 0.750),
    "walking bass 108": (110.29, 0.923),
    "breakbeat 168": (85.23, 0.667),
}

_QUARTERS = (0.0, 1.0, 2.0, 3.0)
_PATTERNS = {
    "kick": ((Part(kick, _QUARTERS),), ["bass"]),
    "snare": ((Part(snare, _QUARTERS),), ["mid"]),
    "hat": ((Part(hat, _QUARTERS),), ["treble"]),
    "kick and snare in turns": ((Part(kick, (0.0, 2.0)), Part(snare, (1.0, 3.0))), ["bass", "mid"]),
    "kick and hat in turns": ((Part(kick, (0.0, 2.0)), Part(hat, (1.0, 3.0))), ["bass", "treble"]),
    "kick with hat, snare with hat": (
        (Part(kick, (0.0, 2.0)), Part(snare, (1.0, 3.0)), Part(hat, _QUARTERS, 0.7)),
        ["bass", "mid"],
    ),
}


@pytest.mark.parametrize("bpm", [50, 77, 100, 128, 160, 200])
def test_beats_of_a_metronome_lie_within_30_ms(bpm: int) -> None:
    # Given a metronome
    piece = clicks(bpm, 20)

    # When it is analysed
    times = _times(processed(Beats(), (0.0, piece.samples)))

    # Then every click is a beat and every beat a click, within 30 ms
    assert len(times) == len(piece.beats)
    assert np.abs(times - piece.beats).max() <= 0.030


@pytest.mark.parametrize("name", SONGS)
def test_songs_are_followed_no_worse_than_by_librosa(name: str) -> None:
    # Given a song, and what librosa makes of it
    reference_bpm, reference = LIBROSA[name]

    # When it is analysed
    truth, beats = _heard(name)
    true_bpm = 60 / float(np.diff(truth).mean())

    # Then the beats are as right as librosa's or better, and so is the tempo
    assert round(f_measure(truth, _times(beats)), 3) >= reference
    assert beats.tempo_bpm is not None
    if abs(reference_bpm / true_bpm - 1) < 0.04:
        assert beats.tempo_bpm == pytest.approx(true_bpm, rel=0.01)


def test_songs_are_followed_well() -> None:
    # Given all songs, when they are analysed
    heard = [_heard(name) for name in SONGS]
    scores = [f_measure(truth, _times(beats)) for truth, beats in heard]

    # Then all are followed to the beat
    assert float(np.mean(scores)) >= 0.98
    assert sum(score > 0.97 for score in scores) >= 20


@pytest.mark.parametrize("name", _PATTERNS)
def test_a_beat_has_the_band_of_its_strongest_onset(name: str) -> None:
    # Given drums
    parts, bands = _PATTERNS[name]
    piece = play(Score(100, parts), 20)

    # When they are analysed
    beats = processed(Beats(), (0.0, piece.samples))

    # Then each beat has the band of the drum that is struck then
    expected = [bands[round((beat.time_seconds - piece.beats[0]) * 100 / 60) % len(bands)] for beat in beats.beats]
    assert len(expected) >= 30
    assert [beat.band for beat in beats.beats] == expected
    assert set(Counter(expected)) == set(bands)


def test_beats_stay_on_the_clock_of_the_frames() -> None:
    # Given a metronome whose audio begins 1.7 s late, has a hole of 0.4 s and later one of 5 s
    piece = clicks(120, 60)
    pieces = [(1.7, 21.7), (22.1, 40.1), (45.1, 60.0)]

    # When it is analysed
    beats = processed(Beats(), *((start, _cut(piece, start, end)) for start, end in pieces))

    # Then all beats that can be heard are where they are
    heard = [beat for beat in piece.beats if any(start <= beat < end - 0.02 for start, end in pieces)]
    assert f_measure(heard, _times(beats), within_seconds=0.030) >= 0.98


def test_beats_lie_within_the_video() -> None:
    # Given a metronome whose audio begins before the frames and goes on after them
    piece = clicks(120, 30)

    # When it is analysed
    times = _times(processed(Beats(), (-2.0, piece.samples), end_seconds=20.0))

    # Then no beat lies outside, and the others are where they are
    expected = [beat - 2.0 for beat in piece.beats if 0 <= beat - 2.0 <= 20.0]
    assert times.min() >= 0
    assert times.max() <= 20.0
    assert f_measure(expected, times, within_seconds=0.030) >= 0.97


def test_broken_samples_harm_nothing() -> None:
    # Given a metronome, some samples of which are no numbers or far too large
    piece = clicks(120, 30)
    broken = piece.samples.copy()
    broken[100_000:100_100], broken[200_000:200_100], broken[300_000] = np.nan, np.inf, 1e30

    # When it is analysed
    beats = processed(Beats(), (0.0, broken))

    # Then its tempo is found all the same
    assert beats.tempo_bpm == pytest.approx(120, rel=0.01)


@pytest.mark.parametrize("samples", [0, 1, 341, 16_000])
def test_next_to_no_audio_has_no_beats(samples: int) -> None:
    # Given as good as no audio, when it is analysed
    beats = processed(Beats(), (3.0, np.ones(samples, dtype=np.float32)))

    # Then there is nothing to say
    assert (beats.tempo_bpm, beats.beats) == (None, [])


def test_confidence_falls_where_the_pulse_is_hidden() -> None:
    # Given a metronome, and the same under noise that is 6 dB louder
    piece = clicks(120, 30)
    level = 2 * float(np.sqrt(np.mean(np.square(piece.samples))))
    noisy = piece.samples + noise("white", 30, level=level)

    # When both are heard
    plain, hidden = (processed(Beats(), (0.0, sound)).beats for sound in (piece.samples, noisy))

    # Then we are sure of the one and less sure of the other, on a scale from 0 to 1
    sure, unsure = (np.array([beat.confidence for beat in beats]) for beats in (plain, hidden))
    assert sure.mean() > 0.8
    assert 0 <= unsure.min() <= unsure.mean() < sure.mean() - 0.2


@cache
def _heard(name: str) -> tuple[Times, Beats]:
    """When the beats of a song are, and what is heard."""
    piece = play(SONGS[name], SONG_SECONDS)
    return piece.beats, processed(Beats(), (0.0, piece.samples))


def _times(beats: Beats) -> Times:
    return np.array([beat.time_seconds for beat in beats.beats])


def _cut(piece: Piece, start: float, end: float) -> Sound:
    return piece.samples[round(start * RATE) : round(end * RATE)]
