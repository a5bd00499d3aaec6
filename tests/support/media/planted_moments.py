"""Films of quiet, calm shots in which some stretches are planted that stand out: loud, in motion, or lively talk."""

import json
import math
import random
import subprocess
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Literal

import cv2
import imageio_ffmpeg
import numpy as np

from tests.support.media.camera_moves import Film, Pixels, Pose, pictures, still
from tests.support.media.joined_films import FOOTAGE
from tests.support.media.music import RATE as SOUND_RATE
from tests.support.media.music import Sound, add, at_level, noise
from tests.support.media.recordings import heard
from tests.support.media.speech import VOICES, voices_by_name

Kind = Literal["loud", "motion", "talk"]

SIZE, RATE = (320, 180), 12
STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)

_STILL_SIZE = (640, 360)
_CALM_LEVEL = 0.004  # root mean square of the noise below everything, -48 dBFS
_TALK_LEVEL = 0.04
_LAUGHTER_HZ = 4.5
_QUICK = 0.33  # widths of the frame a second, at strength 1


@dataclass(frozen=True)
class Plant:
    """What stands out in some shots, from the first one up to but without ``stop``; 1 is plainly there."""

    first: int
    stop: int
    kinds: tuple[Kind, ...]
    strength: float = 1.0


@dataclass(frozen=True)
class PlantedFilm:
    """A film of one shot for each of ``stills``, which last as many frames as ``lengths`` says.

    ``stills`` are photographs, or frames of takes: ``meadow.mp4@2.5`` is what that shows at 2.5 s. ``voices`` are those
    of ``speech.voices_by_name``, or numbers of the recorded prompts.
    """

    stills: tuple[str, ...]
    lengths: tuple[int, ...]
    plants: tuple[Plant, ...]
    voices: tuple[str, ...]
    seed: int
    is_even: bool = False
    """Whether the noise below everything stays as loud, and nothing but the camera moves."""

    @property
    def cuts(self) -> list[float]:
        """Where each shot begins, and where the last one ends."""
        return [frames / RATE for frames in accumulate(self.lengths, initial=0)]

    @property
    def truths(self) -> list[tuple[float, float]]:
        cuts = self.cuts
        return [(cuts[plant.first], cuts[plant.stop]) for plant in self.plants]


def drawn_film(
    seed: int,
    kinds: Sequence[tuple[Kind, ...]],
    *,
    stills: Sequence[str],
    voices: Sequence[str],
    strengths: Sequence[float] = (),
    shots: int = 24,
) -> PlantedFilm:
    """Shots of 3 to 7 seconds; each stretch takes two to four of them, 10 to 20 s, and three at least lie between."""
    dice = random.Random(seed)
    while True:
        lengths = tuple(dice.randint(3 * RATE, 7 * RATE) for _ in range(shots))
        firsts = sorted(dice.sample(range(1, shots - 3), len(kinds)))
        stops = [first + dice.randint(2, 4) for first in firsts]
        seconds = [sum(lengths[first:stop]) / RATE for first, stop in zip(firsts, stops, strict=True)]
        is_apart = all(stop + 3 <= first for stop, first in zip(stops, [*firsts[1:], shots], strict=False))
        if is_apart and all(10 <= one <= 20 for one in seconds):
            break
    order = _shuffled(dice, stills, shots)
    plants = [Plant(*span) for span in zip(firsts, stops, kinds, strengths or [1.0] * len(kinds), strict=True)]
    return PlantedFilm(tuple(order), lengths, tuple(plants), tuple(voices), seed)


def _shuffled(dice: random.Random, stills: Sequence[str], shots: int) -> list[str]:
    """All of them equally often, no two in succession alike."""
    while True:
        order = [name for _ in range(-(-shots // len(stills))) for name in dice.sample(stills, len(stills))][:shots]
        if all(one != other for one, other in pairwise(order)):
            return order


def write(film: PlantedFilm, path: Path) -> Path:
    """The film as H.264 with AAC."""
    sound = path.with_suffix(".wav")
    _write_wave(sound, _sound(film))
    width, height = SIZE
    command = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"),
        *("-s", f"{width}x{height}", "-r", str(RATE), "-i", "-", "-i", str(sound)),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", "21", "-pix_fmt", "yuv420p", "-c:a", "aac", str(path)),
    ]
    data = b"".join(picture.tobytes() for picture in _pictures(film))
    subprocess.run(command, input=data, check=True, capture_output=True)
    return path


def _pictures(film: PlantedFilm) -> Iterator[Pixels]:
    dice = random.Random(film.seed + 1)
    for number, (name, frames) in enumerate(zip(film.stills, film.lengths, strict=True)):
        speed = max((plant.strength for plant in _at(film, number) if "motion" in plant.kinds), default=0.0)
        pose = _moving(dice, speed) if speed else _calm(dice)
        yield from pictures(_still(name), Film(pose, RATE, frames / RATE, SIZE, passer=speed == 1 and not film.is_even))


def _at(film: PlantedFilm, shot: int) -> list[Plant]:
    return [plant for plant in film.plants if plant.first <= shot < plant.stop]


def _calm(dice: random.Random) -> Callable[[float], Pose]:
    across, nearer = dice.uniform(-0.012, 0.012), dice.uniform(-0.01, 0.01)
    return lambda seconds: Pose(x=across * seconds, scale=1.2 * math.exp(nearer * seconds))


def _moving(dice: random.Random, strength: float) -> Callable[[float], Pose]:
    across = dice.choice((-1, 1)) * _QUICK * strength
    down = dice.uniform(-0.1, 0.1) * strength
    return lambda seconds: Pose(x=across * seconds, y=down * seconds, scale=1.3)


@cache
def _still(name: str) -> Pixels:
    file, _, seconds = name.partition("@")
    found = cv2.resize(still(FOOTAGE / file, float(seconds or 0)), _STILL_SIZE, interpolation=cv2.INTER_AREA)
    return np.asarray(found, np.uint8)


def _sound(film: PlantedFilm) -> Sound:
    dice = random.Random(film.seed + 2)
    seconds = film.cuts[-1]
    sound = noise("pink", seconds, seed=film.seed, level=_CALM_LEVEL)
    if not film.is_even:
        sound *= _slowly_varying(dice, len(sound))
    for plant, (start, end) in zip(film.plants, film.truths, strict=True):
        if "loud" in plant.kinds:
            _add_bursts(sound, dice, start, end, plant.strength)
        if "talk" in plant.kinds:
            _add_talk(sound, dice, film.voices, start, end)
    return np.clip(sound, -1, 1)


def _slowly_varying(dice: random.Random, samples: int) -> Sound:
    """Up to 3 dB up and down, within some seconds."""
    points = np.arange(0, samples + 4 * SOUND_RATE, 4 * SOUND_RATE)
    decibels = np.interp(np.arange(samples), points, [dice.uniform(-3, 3) for _ in points])
    return np.asarray(10 ** (decibels / 20), np.float32)


def _add_bursts(sound: Sound, dice: random.Random, start: float, end: float, strength: float) -> None:
    """Bursts of noise over a roar, 20 dB and 12 dB above what is calm, less where it is weaker."""
    above = 10 ** (20 * strength / 20)
    roar = noise("pink", end - start, seed=dice.randrange(1000), level=_CALM_LEVEL * above / 2.5)
    add(sound, roar, start)
    at = start + 0.3
    while at < end - 1.5:
        burst = noise("pink", 1.2, seed=dice.randrange(1000), level=_CALM_LEVEL * above * 2)
        add(sound, burst * np.exp(-np.arange(len(burst)) / SOUND_RATE / 0.5), at)
        at += dice.uniform(1.8, 3.0)


def _add_talk(sound: Sound, dice: random.Random, voices: Sequence[str], start: float, end: float) -> None:
    """One voice after the other, with laughter between."""
    at = start + 0.3
    while at < end - 2.0:
        voice = at_level(_voice(dice.choice(voices)), _TALK_LEVEL)
        voice = voice[: round((end - 0.3 - at) * SOUND_RATE)]
        add(sound, voice, at)
        at += len(voice) / SOUND_RATE + 0.3
        if at < end - 1.5:
            add(sound, _laughter(dice, 1.2), at)
            at += 1.5


@cache
def _voice(name: str) -> Sound:
    if not name.isdigit():
        return voices_by_name()[name]
    start, end = json.loads((VOICES / "recorded-5-languages.json").read_text())[int(name)]
    recorded = heard(VOICES / "recorded-5-languages.flac")
    return recorded[round(start * SOUND_RATE) : round(end * SOUND_RATE)]


def _laughter(dice: random.Random, seconds: float) -> Sound:
    hiss = noise("pink", seconds, seed=dice.randrange(1000), level=_TALK_LEVEL * 1.5)
    time = np.arange(len(hiss)) / SOUND_RATE
    return np.asarray(hiss * (0.5 + 0.5 * np.sin(2 * np.pi * _LAUGHTER_HZ * time)), np.float32)


def _write_wave(path: Path, sound: Sound) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_RATE)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
