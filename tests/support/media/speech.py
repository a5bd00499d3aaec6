"""Speech of many voices, over noise and music, of which is known when there is speech. Mono, 16 kHz."""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from clipzy_worker.analysers.base import SAMPLE_RATE_HZ as RATE
from tests.support.media.music import Sound, add, at_level

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
def voices_by_name() -> dict[str, Sound]:
    return {path.stem: _read(path) for path in VOICES.glob("*.opus")}


def _speaks(voice: Sound) -> NDArray[np.bool_]:
    frames = voice[: len(voice) // _FRAME * _FRAME].reshape(-1, _FRAME)
    levels = np.sqrt(np.mean(np.square(frames), axis=1))
    loud = np.flatnonzero(levels > _FAINT * levels.max())
    speaks = np.zeros(len(frames), dtype=np.bool_)
    for one, other in pairwise(loud):
        if (other - one) * FRAME_SECONDS <= _BREATH_SECONDS:
            speaks[one : other + 1] = True
    return speaks


def _read(path: Path) -> Sound:
    resampler = AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        frames = [*container.decode(audio=0), None]
        pieces = [mono.to_ndarray().reshape(-1) for frame in frames for mono in resampler.resample(frame)]
    return np.asarray(np.concatenate(pieces), dtype=np.float32)
