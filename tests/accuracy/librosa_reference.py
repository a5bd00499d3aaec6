"""Prints what librosa makes of the songs, as it stands in ``test_beats.py`` and ``test_music.py``.

Run by hand, where Clipzy's packages and librosa are installed: ``python -m tests.accuracy.librosa_reference``.
"""

import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mido
import numpy as np

from tests.accuracy.test_music import FIRST_SECONDS
from tests.support.media.music import RATE, Times, play
from tests.support.media.played_midi import EXCERPT_SECONDS, beat_times, recorded
from tests.support.media.played_midi import SONGS as MIDI_FILES
from tests.support.media.songs import SONG_SECONDS, SONGS, f_measure


def main() -> None:
    librosa = import_module("librosa")
    sys.stdout.write(f"# librosa {librosa.__version__}\n")
    for name, score in SONGS.items():
        piece = play(score, SONG_SECONDS)
        _print(name, piece.beats, *librosa.beat.beat_track(y=piece.samples, sr=RATE, units="time"))
    for path in sorted(MIDI_FILES.glob("*.mid")):
        with TemporaryDirectory() as directory:  # at the rate that librosa prefers
            wav = recorded(path, Path(directory))
            samples, rate = librosa.load(wav, duration=EXCERPT_SECONDS)
        tempo, found = librosa.beat.beat_track(y=samples, sr=rate, units="time")
        truth = beat_times(mido.MidiFile(path))
        truth = truth[(truth >= FIRST_SECONDS) & (truth < EXCERPT_SECONDS)]
        _print(path.stem, truth, tempo, found[found >= FIRST_SECONDS])


def _print(name: str, truth: Times, tempo: Any, found: Iterable[float]) -> None:
    bpm = float(np.squeeze(tempo))
    sys.stdout.write(f'    "{name}": ({bpm:.2f}, {f_measure(truth, found):.3f}),\n')


if __name__ == "__main__":
    main()
