"""Prints what librosa makes of the songs, as it stands in ``test_beats.py``. Run by hand, where Clipzy's packages and
librosa are installed: ``python -m tests.accuracy.librosa_reference``."""

import sys
from importlib import import_module

import numpy as np

from tests.support.media.music import RATE, play
from tests.support.media.songs import SONG_SECONDS, SONGS, f_measure


def main() -> None:
    librosa = import_module("librosa")
    sys.stdout.write(f"# librosa {librosa.__version__}\n")
    for name, score in SONGS.items():
        piece = play(score, SONG_SECONDS)
        tempo, beats = librosa.beat.beat_track(y=piece.samples, sr=RATE, units="time")
        bpm = float(np.squeeze(tempo))
        sys.stdout.write(f'    "{name}": ({bpm:.2f}, {f_measure(piece.beats, beats):.3f}),\n')


if __name__ == "__main__":
    main()
