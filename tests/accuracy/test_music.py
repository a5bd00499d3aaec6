"""Tempo and beats of music that others wrote: synthesised by a program, and recorded.

Half of the synthesised songs were used to fit the analysis, and nothing was fitted to the other half.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from clipzy_worker.analysers.audio.beats import Beats
from tests.support.media.music import Times, processed
from tests.support.media.played_midi import SOUND_FONTS, played
from tests.support.media.recordings import heard
from tests.support.media.songs import f_measure

# What librosa 0.11.0 makes of the first minute, by ``tests/accuracy/librosa_reference.py``: beats a minute, and the
# F-measure of its beats.
HELD_OUT = {
    "5432gone_redfarn": (117.45, 0.000),
    "busy_schedule": (89.10, 0.369),
    "careless_perc_redfarn": (64.60, 0.982),
    "coconut_run2": (89.10, 0.631),
    "flying_scotsman": (99.38, 0.620),
    "linns_basket": (117.45, 0.995),
    "midnight_snow_run": (80.75, 0.492),
    "moo_redfarn": (117.45, 0.000),
    "mosey_along_redfarn": (69.84, 0.663),
    "run_for_your_life": (112.35, 0.400),
    "the_fast_route": (86.13, 0.083),
    "train_filled_with_cash": (89.10, 0.988),
    "ttsong_iii_imuh3": (161.50, 0.322),
    "tttheme2": (107.67, 0.995),
    "ultimate_run": (99.38, 0.393),
}
FITTED = {
    "be_sharp_bw_redfarn": (107.67, 0.995),
    "boogi_marabi_redfarn": (152.00, 0.086),
    "chemistry_lab": (117.45, 0.991),
    "chuggachugga": (89.10, 0.659),
    "city_blues_redfarn": (117.45, 1.000),
    "harp_harmony": (129.20, 0.800),
    "keep_on_rolling": (103.36, 0.979),
    "mighty_giant_run": (161.50, 0.589),
    "modern_motion": (117.45, 0.000),
    "no_work_song_redfarn": (112.35, 0.995),
    "relax_song": (117.45, 0.880),
    "say_what_redfarn": (143.55, 0.992),
    "slow_neasy_redfarn": (136.00, 0.000),
    "the_hobo_redfarn": (83.35, 0.394),
    "ttsong_iv_imuh3": (107.67, 0.314),
    "wood_whistles": (117.45, 0.000),
}
_SHORT = ("coconut_run2", "linns_basket", "moo_redfarn", "tttheme2")
_ONCE_WRONG = {
    "slow_neasy_redfarn": "beats were on the swung off-beats",
    "no_work_song_redfarn": "twice the tempo",
    "keep_on_rolling": "twice the tempo",
    "the_hobo_redfarn": "two thirds of the tempo",
}
_RECORDINGS = Path(__file__).parents[1] / "footage" / "music"
FIRST_SECONDS = 5.0  # do not count, as in mir_eval


@pytest.mark.parametrize("name", _SHORT)
def test_a_song_is_followed_that_nothing_was_fitted_to(name: str) -> None:
    # Given a song, when it is analysed
    tempo_ratio, score = _heard(name)

    # Then tempo and beats are right
    assert tempo_ratio == pytest.approx(1, abs=0.01)
    assert score >= 0.95


@pytest.mark.parametrize("name", _ONCE_WRONG)
def test_a_song_is_followed_that_once_was_not(name: str) -> None:
    # Given a song of which an earlier version made something else, when it is analysed
    tempo_ratio, score = _heard(name)

    # Then tempo and beats are right
    assert tempo_ratio == pytest.approx(1, abs=0.01), _ONCE_WRONG[name]
    assert score >= 0.95, _ONCE_WRONG[name]


@pytest.mark.parametrize("name", ["armygeddon", "chaos-god"])
def test_recorded_metal_is_followed(name: str) -> None:
    # Given half a minute of a recorded song of 170 beats a minute, the first at 0
    truth = np.arange(0, 30, 60 / 170)

    # When it is analysed
    beats = processed(Beats(), (0.0, heard(_RECORDINGS / f"{name}.ogg")))

    # Then its tempo is right, and so are most beats
    assert beats.tempo_bpm == pytest.approx(170, rel=0.01)
    assert _score(truth, beats) >= 0.85


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("sound_font", SOUND_FONTS)
def test_songs_are_followed_better_than_by_librosa(sound_font: str) -> None:
    # Given fifteen songs that nothing was fitted to, when they are analysed
    ratios, scores = zip(*(_heard(name, sound_font) for name in HELD_OUT), strict=True)

    # Then their beats are right more often than librosa's
    librosa = float(np.mean([score for _, score in HELD_OUT.values()]))
    assert float(np.mean(scores)) >= max(0.80, librosa + 0.25)

    # And most tempi are right; the others are half or four thirds
    assert sum(abs(ratio - 1) <= 0.04 for ratio in ratios) >= 12


@pytest.mark.long
@pytest.mark.timeout(600)
def test_songs_are_followed_that_the_analysis_was_fitted_to() -> None:
    # Given sixteen songs, when they are analysed
    ratios, scores = zip(*(_heard(name) for name in FITTED), strict=True)

    # Then nearly all tempi are right, and most beats
    assert sum(abs(ratio - 1) <= 0.04 for ratio in ratios) >= 14
    assert float(np.mean(scores)) >= 0.83


@cache
def _heard(name: str, sound_font: str = "TimGM6mb") -> tuple[float, float]:
    """What is heard of a song: its tempo relative to the true one (0 if there is none), and the F-measure of its
    beats."""
    piece = played(name, sound_font=SOUND_FONTS[sound_font])
    beats = processed(Beats(), (0.0, piece.samples))
    period = float(np.median(np.diff(piece.beats)))
    return (beats.tempo_bpm or 0.0) * period / 60, _score(piece.beats, beats)


def _score(truth: Times, beats: Beats) -> float:
    found = np.array([beat.time_seconds for beat in beats.beats])
    return f_measure(truth[truth >= FIRST_SECONDS], found[found >= FIRST_SECONDS])
