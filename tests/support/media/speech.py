"""Speech of many voices, over noise and music, of which is known when there is speech. Mono, 16 kHz."""

import json
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import SAMPLE_RATE_HZ as RATE
from tests.support.media.music import Sound, add, at_level
from tests.support.media.recordings import heard

VOICES = Path(__file__).parents[2] / "footage" / "speech"
FRAME_SECONDS = 0.01

_FRAME = round(RATE * FRAME_SECONDS)
_LEVEL = 0.1  # root mean square of speech
_FAINT = 0.01  # of a voice's loudest frame, -40 dB: below, it is silent
_BREATH_SECONDS = 0.3  # shorter pauses belong to speech


@dataclass(frozen=True)
class Spoken:
    """A recording, and for each ``FRAME_SECONDS`` of it whether there is speech."""

    samples: Sound
    speaks: NDArray[np.bool_]


def conversation(*, pause_seconds: float = 4.0) -> Spoken:
    """All voices, one after another, with silence before, between and after."""
    voices = [at_level(samples, _LEVEL) for _, samples in sorted(voices_by_name().items())]
    total = sum(len(voice) for voice in voices) + round((len(voices) + 1) * pause_seconds * RATE)
    sound = np.zeros(total, dtype=np.float32)
    speaks = np.zeros(total // _FRAME, dtype=np.bool_)
    at = pause_seconds
    for voice in voices:
        add(sound, voice, at)
        heard = _speaks(voice)
        start = round(at / FRAME_SECONDS)
        speaks[start : start + len(heard)] |= heard[: len(speaks) - start]
        at = round((at + len(voice) / RATE + pause_seconds) / FRAME_SECONDS) * FRAME_SECONDS
    return Spoken(sound, speaks)


def over(spoken: Spoken, background: Sound, *, decibels: float) -> Spoken:
    """The same with a background that is so much quieter than speech, all the way through."""
    quiet = at_level(np.resize(background, len(spoken.samples)), _LEVEL * 10 ** (-decibels / 20))
    return Spoken(spoken.samples + quiet, spoken.speaks)


@cache
def prompts() -> Spoken:
    """Prompts of telephones, recorded by speakers of five languages, with digital silence between. When they speak is
    known from the level of the recordings, to some 50 ms."""
    sound = heard(VOICES / "recorded-5-languages.flac")
    speaks = np.zeros(len(sound) // _FRAME, dtype=np.bool_)
    for start, end in json.loads((VOICES / "recorded-5-languages.json").read_text()):
        speaks[round(start / FRAME_SECONDS) : round(end / FRAME_SECONDS)] = True
    return Spoken(at_level(sound, _LEVEL), speaks)


@cache
def voices_by_name() -> dict[str, Sound]:
    return {path.stem: heard(path) for path in VOICES.glob("*.opus")}


def _speaks(voice: Sound) -> NDArray[np.bool_]:
    frames = voice[: len(voice) // _FRAME * _FRAME].reshape(-1, _FRAME)
    levels = np.sqrt(np.mean(np.square(frames), axis=1))
    loud = np.flatnonzero(levels > _FAINT * levels.max())
    speaks = np.zeros(len(frames), dtype=np.bool_)
    for one, other in pairwise(loud):
        if (other - one) * FRAME_SECONDS <= _BREATH_SECONDS:
            speaks[one : other + 1] = True
    return speaks
