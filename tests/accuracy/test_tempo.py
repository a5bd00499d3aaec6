"""How fast the pulse is, and that there is none where there is none."""

from collections.abc import Callable

import numpy as np
import pytest

from clipzy_worker.analysers.audio.beats import Beats
from tests.support.media.music import Sound, clicks, noise, play, processed, tone
from tests.support.media.songs import SONG_SECONDS, SONGS, rock
from tests.support.media.speech import conversation

CLICKS_BPM = (50, 57, 66, 75, 88, 100, 112, 120, 133, 150, 168, 180, 190, 200)

NO_PULSE: dict[str, Callable[[], Sound]] = {
    "silence": lambda: np.zeros(40 * 16_000, dtype=np.float32),
    "low tone": lambda: tone(100, 40),
    "tone": lambda: tone(440, 40),
    "high tone": lambda: tone(3000, 40),
    **{
        f"{colour} noise, {seed}": lambda colour=colour, seed=seed: noise(colour, 40, seed=seed)  # type: ignore[misc]
        for colour in ("white", "pink", "brown")
        for seed in (1, 2)
    },
    "speech": lambda: conversation(pause_seconds=0.3).samples,
    "speech with pauses": lambda: conversation(pause_seconds=3.0).samples,
    "too little music": lambda: clicks(120, 3.5).samples,
}


@pytest.mark.parametrize("bpm", CLICKS_BPM)
def test_a_metronome_is_read_to_one_percent(bpm: int) -> None:
    # Given 15 s of a metronome
    piece = clicks(bpm, 15)

    # When it is analysed
    beats = processed(Beats(), (0.0, piece.samples))

    # Then the tempo is right, not its half nor its double
    assert beats.tempo_bpm == pytest.approx(bpm, rel=0.01)


@pytest.mark.long
@pytest.mark.parametrize("bpm", range(50, 201))
def test_any_metronome_is_read_to_one_percent(bpm: int) -> None:
    # Given 20 s of a metronome under hiss, 40 dB quieter
    piece = clicks(bpm, 20)
    level = float(np.sqrt(np.mean(np.square(piece.samples)))) / 100

    # When it is analysed
    beats = processed(Beats(), (0.0, piece.samples + noise("white", 20, level=level)))

    # Then the tempo is right
    assert beats.tempo_bpm == pytest.approx(bpm, rel=0.01)


@pytest.mark.parametrize("name", NO_PULSE)
def test_there_is_no_tempo_where_there_is_no_pulse(name: str) -> None:
    # Given audio without a steady pulse
    sound = NO_PULSE[name]()

    # When it is analysed
    beats = processed(Beats(), (0.0, sound))

    # Then no tempo is claimed, and no beat
    assert (beats.tempo_bpm, beats.beats) == (None, [])


def test_music_in_a_part_of_the_video_gives_its_tempo() -> None:
    # Given a song of 30 s after speech and before noise
    before, song = conversation(pause_seconds=0.3).samples, play(rock(120), 30)
    film = np.concatenate([before, song.samples, noise("pink", 20, level=0.03)])
    starts, ends = len(before) / 16_000, len(before) / 16_000 + 30

    # When the video is analysed
    beats = processed(Beats(), (0.0, film))

    # Then the song's tempo is the video's, and beats lie in the song, but for a window's uncertainty
    assert beats.tempo_bpm == pytest.approx(120, rel=0.01)
    assert all(starts - 5 <= beat.time_seconds <= ends + 5 for beat in beats.beats)
    assert sum(starts <= beat.time_seconds <= ends for beat in beats.beats) >= 55


def test_a_little_music_is_not_the_tempo_of_a_long_video() -> None:
    # Given a song of 15 s and a hundred seconds of noise
    film = np.concatenate([play(rock(120), 15).samples, noise("pink", 100, level=0.03)])

    # When the video is analysed
    beats = processed(Beats(), (0.0, film))

    # Then it has no tempo, but beats where the song is
    assert beats.tempo_bpm is None
    assert beats.beats


def test_a_tempo_that_rises_slowly_is_followed() -> None:
    # Given a song that begins with 100 beats a minute and ends with 112
    piece = play(SONGS["rock 100 to 112"], SONG_SECONDS)

    # When it is analysed
    beats = processed(Beats(), (0.0, piece.samples))

    # Then its tempo is the one in the middle
    assert beats.tempo_bpm == pytest.approx(60 / float(np.diff(piece.beats).mean()), rel=0.01)


@pytest.mark.long
def test_a_long_video_is_heard_in_chapters_to_its_end() -> None:
    # Given half an hour of a metronome
    piece = clicks(97, 1800)

    # When it is analysed
    beats = processed(Beats(), (0.0, piece.samples))

    # Then the tempo is right, and beats go on through all chapters
    assert beats.tempo_bpm == pytest.approx(97, rel=0.01)
    assert len(beats.beats) == pytest.approx(len(piece.beats), rel=0.005)
