"""The music to which the weights of tempo and beats are fitted: MIDI files of three games, and what numpy plays.

Debian: fluidsynth, timgm6mb-soundfont, fluid-soundfont-gm, openttd-openmsx, freedoom, freedm, simutrans-data.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import mido
import numpy as np
from mido.midifiles.meta import KeySignatureError

from tests.support.media.music import Piece, Times, clicks, play
from tests.support.media.played_midi import FLUID_SOUND_FONT, SOUND_FONT, excerpt, performed
from tests.support.media.played_midi import SONGS as OPENTTD
from tests.support.media.songs import SONG_SECONDS, SONGS
from tests.support.requirements import missing

_WADS = [Path("/usr/share/games/doom") / f"{name}.wad" for name in ("freedoom1", "freedoom2", "freedm")]
_SIMUTRANS = Path("/usr/share/games/simutrans/music")
# Sound font and speed: each song is heard in two voices, and faster and slower than it was written.
PERFORMANCES = ((SOUND_FONT, 1.0), (FLUID_SOUND_FONT, 1.0), (SOUND_FONT, 1.16), (FLUID_SOUND_FONT, 0.87))
# In beats.
_TOLERANCE = 0.06
_MIN_NOTES_ON_THE_BEAT = 0.2
_MIN_BEATS = 20


def performances(names: list[str], directory: Path) -> Iterator[tuple[str, Piece]]:
    """Name and performances of these songs of OpenTTD and of those of the other games."""
    for path in midi_files(names, directory):
        for sound_font, speed in PERFORMANCES:
            piece = performed(path, sound_font=sound_font, speed=speed)
            if len(piece.beats) >= _MIN_BEATS:
                yield path.stem, piece


def synthesised() -> Iterator[tuple[str, Piece]]:
    for bpm in range(52, 202, 6):
        yield f"metronome {bpm}", clicks(bpm, 20)
    for name, score in SONGS.items():
        yield name, play(score, SONG_SECONDS)


def midi_files(names: list[str], directory: Path) -> list[Path]:
    """Those whose beats can be trusted; the songs of Freedoom are written to ``directory``."""
    found = [OPENTTD / f"{name}.mid" for name in names]
    for wad in _WADS:
        if not wad.exists():
            missing("freedoom, freedm")
        found += _songs_of_wad(wad, directory)
    found += sorted(_SIMUTRANS.glob("*.mid")) or missing("simutrans-data")
    return [path for path in found if _is_on_the_beat(path)]


def _songs_of_wad(wad: Path, directory: Path) -> Iterator[Path]:
    """The format is that of Doom: a header, and for each file its place, its size and its name of eight characters."""
    data = wad.read_bytes()
    count, table = struct.unpack_from("<ii", data, 4)
    for start, size, name in struct.iter_unpack("<ii8s", data[table : table + 16 * count]):
        song = data[start : start + size]
        path = directory / f"{name.rstrip(bytes(1)).decode()}.mid"
        if song.startswith(b"MThd") and all(song != other.read_bytes() for other in directory.glob("*.mid")):
            path = path if not path.exists() else path.with_stem(f"{wad.stem}-{path.stem}")
            path.write_bytes(song)
            yield path


def _is_on_the_beat(path: Path) -> bool:
    """Whether the beats of the file are those of the music: some composers play as they like and leave the tempo at
    what it was, or shift the bar by half a beat. By chance, 0.12 of the notes would be on the beat."""
    try:
        midi = excerpt(mido.MidiFile(path, clip=True))
    except KeySignatureError:  # of a key that does not exist
        return False
    tick, beats = 0, []
    for message in midi.tracks[0]:
        tick += message.time
        if message.type == "note_on" and message.velocity > 0:
            beats.append(tick / midi.ticks_per_beat)
    on_the_beat, halfway = (_share_near(np.array(beats) - place) for place in (0.0, 0.5))
    return on_the_beat >= max(_MIN_NOTES_ON_THE_BEAT, halfway)


def _share_near(beats: Times) -> float:
    return float((np.abs(beats - np.rint(beats)) < _TOLERANCE).mean()) if len(beats) else 0.0
