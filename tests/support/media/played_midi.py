"""Music that others wrote: the MIDI files of the game OpenTTD, played by fluidsynth. When it beats is in the files.

Debian: fluidsynth, timgm6mb-soundfont, openttd-openmsx.
"""

import subprocess
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mido
import numpy as np

from tests.support.media.music import Piece, Times
from tests.support.media.recordings import heard
from tests.support.requirements import missing

SONGS = Path("/usr/share/games/openttd/baseset/openmsx")
SOUND_FONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")
EXCERPT_SECONDS = 60.0


def played(name: str) -> Piece:
    """The first ``EXCERPT_SECONDS`` of a song."""
    with TemporaryDirectory() as directory:
        sound = heard(record(name, Path(directory)), seconds=EXCERPT_SECONDS)
    beats = beat_times(SONGS / f"{name}.mid")
    return Piece(sound, beats[beats < EXCERPT_SECONDS])


def record(name: str, directory: Path) -> Path:
    """The whole song as a WAV file in ``directory``."""
    wav = directory / f"{name}.wav"
    command = ["fluidsynth", "-ni", "-q", "-r", "44100", "-F", str(wav), str(SOUND_FONT), str(SONGS / f"{name}.mid")]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        missing("fluidsynth")
    if not wav.exists():
        missing("timgm6mb-soundfont, openttd-openmsx")
    return wav


def beat_times(path: Path) -> Times:
    """One at each quarter note, up to the last note."""
    if not path.exists():
        missing("openttd-openmsx")
    midi = mido.MidiFile(path)
    tempi, last = _tempi_and_last_note(midi)
    beats: list[float] = []
    seconds, tick, tempo = 0.0, 0, 500_000  # microseconds per quarter, as long as the file names no other
    for beat in count():
        at = beat * midi.ticks_per_beat
        if at > last:
            return np.array(beats)
        while tempi and tempi[0][0] <= at:
            changes, new = tempi.pop(0)
            seconds += mido.tick2second(changes - tick, midi.ticks_per_beat, tempo)
            tick, tempo = changes, new
        beats.append(seconds + mido.tick2second(at - tick, midi.ticks_per_beat, tempo))
    raise AssertionError("unreachable")


def _tempi_and_last_note(midi: Any) -> tuple[list[tuple[int, int]], int]:
    tempi, tick, last = [], 0, 0
    for message in mido.merge_tracks(midi.tracks):
        tick += message.time
        if message.type == "set_tempo":
            tempi.append((tick, message.tempo))
        elif message.type == "note_on" and message.velocity > 0:
            last = tick
    return tempi, last
