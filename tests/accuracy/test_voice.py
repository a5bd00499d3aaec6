"""When there is speech, over noise and music that is 10 dB quieter."""

from collections.abc import Callable

import numpy as np
import pytest

from clipzy_worker.analysers.audio.speech import SpeechDetector
from tests.support.media.music import Sound, noise, play, processed, tone
from tests.support.media.recordings import heard
from tests.support.media.songs import SONGS
from tests.support.media.speech import FRAME_SECONDS, VOICES, Spoken, conversation, over, prompts

BACKGROUNDS: dict[str, Callable[[], Sound]] = {
    **{
        f"{colour} noise": lambda colour=colour: noise(colour, 60)  # type: ignore[misc]
        for colour in ("white", "pink", "brown")
    },
    **{
        name: lambda name=name: play(SONGS[name], 60).samples  # type: ignore[misc]
        for name in ("rock 120", "house 124", "jazz 126", "ballad 66", "chords 84", "waltz 96", "funk 104")
    },
    "tone": lambda: tone(440, 60),
}
_MANY = [
    name if name in ("white noise", "rock 120", "chords 84") else pytest.param(name, marks=pytest.mark.long)
    for name in BACKGROUNDS
]


@pytest.mark.parametrize("name", _MANY)
def test_speech_is_found_over_a_background(name: str) -> None:
    # Given ten voices, one after another, over a background that goes on in the pauses
    spoken = over(conversation(), BACKGROUNDS[name](), decibels=10)

    # When they are analysed
    voice = processed(SpeechDetector(), (0.0, spoken.samples))

    # Then at least 95 of 100 frames of 10 ms are judged rightly, and so is the share of speech
    assert _right(voice, spoken) >= 0.95
    assert voice.ratio == pytest.approx(spoken.speaks.mean(), abs=0.04)


def test_speech_alone_is_found() -> None:
    # Given ten voices with silence between
    spoken = conversation()

    # When they are analysed
    voice = processed(SpeechDetector(), (0.0, spoken.samples))

    # Then nearly all frames are judged rightly
    assert _right(voice, spoken) >= 0.98


@pytest.mark.parametrize("level", [0.5, 0.005])
def test_speech_may_be_loud_or_quiet(level: float) -> None:
    # Given speech between loud and 46 dB under full scale
    spoken = conversation()

    # When it is analysed
    voice = processed(SpeechDetector(), (0.0, np.clip(spoken.samples / 0.1 * level, -1, 1)))

    # Then it is found
    assert _right(voice, spoken) >= 0.95


def test_recorded_speech_is_found() -> None:
    # Given prompts that speakers of five languages recorded for telephones
    spoken = prompts()

    # When they are analysed
    voice = processed(SpeechDetector(), (0.0, spoken.samples))

    # Then nearly all frames are judged rightly
    assert _right(voice, spoken) >= 0.975


@pytest.mark.parametrize("name", ["white noise", "pink noise", "rock 120", "chords 84"])
def test_recorded_speech_is_found_over_a_background(name: str) -> None:
    # Given the prompts over a background that is 10 dB quieter and goes on in the pauses
    spoken = over(prompts(), BACKGROUNDS[name](), decibels=10)

    # When they are analysed
    voice = processed(SpeechDetector(), (0.0, spoken.samples))

    # Then most frames are judged rightly; wrong are those just after words, and short pauses
    assert _right(voice, spoken) >= 0.955


def test_recorded_speech_may_be_quiet() -> None:
    # Given the prompts, 46 dB under full scale
    spoken = prompts()

    # When they are analysed
    voice = processed(SpeechDetector(), (0.0, spoken.samples / 0.1 * 0.005))

    # Then they are found
    assert _right(voice, spoken) >= 0.97


def test_recorded_music_does_not_speak() -> None:
    # Given half a minute of metal without a voice
    sound = heard(VOICES.parent / "music" / "armygeddon.ogg")

    # When it is analysed
    voice = processed(SpeechDetector(), (0.0, sound))

    # Then there is no speech, or next to none
    assert voice.ratio <= 0.01


@pytest.mark.parametrize("name", _MANY)
def test_noise_and_music_do_not_speak(name: str) -> None:
    # Given no voice
    sound = BACKGROUNDS[name]()

    # When it is analysed
    voice = processed(SpeechDetector(), (0.0, sound))

    # Then there is no speech, or next to none
    assert voice.ratio <= 0.01


def test_there_is_no_speech_in_silence() -> None:
    # Given digital silence
    sound = np.zeros(20 * 16_000, dtype=np.float32)

    # When it is analysed
    voice = processed(SpeechDetector(), (0.0, sound))

    # Then there is no speech
    assert (voice.spans, voice.ratio) == ([], 0.0)


@pytest.mark.parametrize("samples", [0, 1, 341])
def test_there_is_no_speech_in_next_to_no_audio(samples: int) -> None:
    # Given as good as no audio, when it is analysed
    voice = processed(SpeechDetector(), (3.0, np.ones(samples, dtype=np.float32)))

    # Then there is nothing to say
    assert (voice.spans, voice.ratio) == ([], 0.0)


def test_speech_stays_on_the_clock_of_the_frames() -> None:
    # Given audio that begins 12.3 s late and is missing for 20 s, in which there would have been speech
    spoken = conversation()
    runs = [(12.3, spoken.samples[: 50 * 16_000]), (82.3, spoken.samples[70 * 16_000 :])]
    heard = np.r_[np.zeros(1230, bool), spoken.speaks[:5000], np.zeros(2000, bool), spoken.speaks[7000:]]

    # When it is analysed
    voice = processed(SpeechDetector(), *runs)

    # Then speech is where it is, and its share is of the audio that is there
    assert _right(voice, Spoken(spoken.samples, heard)) >= 0.97
    assert voice.ratio == pytest.approx(heard.sum() / (len(heard) - 1230 - 2000), abs=0.03)


def test_speech_lies_within_the_video() -> None:
    # Given speech that begins before the frames and goes on after them
    spoken = conversation(pause_seconds=0.1)

    # When it is analysed
    voice = processed(SpeechDetector(), (-3.0, spoken.samples), end_seconds=30.0)

    # Then it is cut at both ends, in order and without overlaps, and its share is of what is left
    times = [time for span in voice.spans for time in (span.start_seconds, span.end_seconds)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= 30.0
    assert 0.8 < voice.ratio <= 1.0


def test_broken_samples_harm_nothing() -> None:
    # Given speech in which samples are no numbers, or far too large
    spoken = conversation()
    broken = spoken.samples.copy()
    broken[100_000:100_100], broken[200_000:200_100], broken[300_000] = np.nan, np.inf, 1e30

    # When it is analysed
    voice = processed(SpeechDetector(), (0.0, broken))

    # Then speech is found all the same
    assert _right(voice, spoken) >= 0.97


def _right(voice: SpeechDetector, spoken: Spoken) -> float:
    """The share of frames that are judged rightly."""
    middles = (np.arange(len(spoken.speaks)) + 0.5) * FRAME_SECONDS
    speaks = np.zeros(len(middles), dtype=np.bool_)
    for span in voice.spans:
        speaks |= (middles >= span.start_seconds) & (middles < span.end_seconds)
    return float((speaks == spoken.speaks).mean())
