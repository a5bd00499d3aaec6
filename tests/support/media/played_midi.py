"""Music that others wrote: MIDI files, among them those of the game OpenTTD, played by fluidsynth. When it beats is in
the files.

Debian: fluidsynth, timgm6mb-soundfont, openttd-openmsx; some use fluid-soundfont-gm, too.
"""

import subprocess
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import mido
import numpy as np

from tests.support.media.music import Piece, Times
from tests.support.media.recordings import heard
from tests.support.requirements import missing

SONGS = Path("/usr/share/games/openttd/baseset/openmsx")
SOUND_FONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")
FLUID_SOUND_FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
SOUND_FONTS = {"TimGM6mb": SOUND_FONT, "FluidR3": FLUID_SOUND_FONT}
EXCERPT_SECONDS = 60.0
_TEMPO = 500_000  # microseconds a quarter, as long as a file names no other
_ALL_SOUND_OFF = 120


def played(name: str, *, sound_font: Path = SOUND_FONT) -> Piece:
    """The first ``EXCERPT_SECONDS`` of a song of OpenTTD."""
    return performed(SONGS / f"{name}.mid", sound_font=sound_font)


def performed(path: Path, *, sound_font: Path = SOUND_FONT, speed: float = 1.0) -> Piece:
    """The first ``EXCERPT_SECONDS`` of a MIDI file, played ``speed`` times as fast as it says."""
    if not path.exists():
        missing(str(path))
    midi = excerpt(mido.MidiFile(path, clip=True), speed=speed)
    with TemporaryDirectory() as directory:
        cut = Path(directory) / "excerpt.mid"
        midi.save(cut)
        sound = heard(recorded(cut, Path(directory), sound_font=sound_font), seconds=EXCERPT_SECONDS)
    beats = beat_times(midi)
    return Piece(sound, beats[beats < EXCERPT_SECONDS])


def recorded(midi: Path, directory: Path, *, sound_font: Path = SOUND_FONT) -> Path:
    """All of it as a WAV file in ``directory``."""
    if not sound_font.exists():
        missing(str(sound_font))
    wav = directory / f"{midi.stem}.wav"
    command = ["fluidsynth", "-ni", "-q", "-r", "44100", "-F", str(wav), str(sound_font), str(midi)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        missing("fluidsynth")
    return wav


def excerpt(midi: mido.MidiFile, *, speed: float = 1.0) -> mido.MidiFile:
    """Somewhat more than the first ``EXCERPT_SECONDS``, ``speed`` times as fast, in one track."""
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=round(_TEMPO / speed))])
    seconds, tempo = 0.0, _TEMPO
    for message in mido.merge_tracks(midi.tracks):
        seconds += mido.tick2second(message.time, midi.ticks_per_beat, tempo / speed)
        if seconds > EXCERPT_SECONDS + 2 or message.type == "end_of_track":
            break
        if message.type == "set_tempo":
            tempo = message.tempo
            track.append(message.copy(tempo=round(tempo / speed)))
        else:
            # Texts in any coding and settings of other synthesisers are not heard, but must not shift what follows.
            unheard = message.is_meta or message.type == "sysex"
            track.append(mido.MetaMessage("marker", time=message.time) if unheard else message)
    # Without it fluidsynth would go on for as long as a note that was cut sounds, which may be for ever.
    for channel in range(16):
        track.append(mido.Message("control_change", channel=channel, control=_ALL_SOUND_OFF))
    return mido.MidiFile(type=0, ticks_per_beat=midi.ticks_per_beat, tracks=[track])


def beat_times(midi: mido.MidiFile) -> Times:
    """One at each quarter note, up to the last note."""
    tempi, last = _tempi_and_last_note(midi)
    beats: list[float] = []
    seconds, tick, tempo = 0.0, 0, _TEMPO
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


def _tempi_and_last_note(midi: mido.MidiFile) -> tuple[list[tuple[int, int]], int]:
    tempi, tick, last = [], 0, 0
    for message in mido.merge_tracks(midi.tracks):
        tick += message.time
        if message.type == "set_tempo":
            tempi.append((tick, message.tempo))
        elif message.type == "note_on" and message.velocity > 0:
            last = tick
    return tempi, last
