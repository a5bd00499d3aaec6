"""Sections of the audio: exact to the sample wherever decoding begins, silent where there is nothing."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clipzy_worker.decode.audio_index import AudioIndex
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.render.sound import Soundtrack
from tests.support.media.clips import ffmpeg
from tests.support.media.sound_sections import (
    chirp,
    chirps,
    index_of,
    joined_blocks,
    lag_samples,
    request_for,
    soundtrack_of,
    zero_of,
)
from tests.support.media.sounds import RATE_HZ, film, tone
from tests.support.media.timelines import late_pictures
from tests.support.media.tracks import with_encrypted_audio

AAC, PCM, FLAC, MP3 = ("-c:a", "aac", "-b:a", "256k"), ("-c:a", "pcm_s16le"), ("-c:a", "flac"), ("-c:a", "libmp3lame")
VP8 = ("-c:v", "libvpx")
OPUS, VORBIS = ("-c:a", "libopus", "-b:a", "256k"), ("-c:a", "libvorbis", "-q:a", "8")
START_SECONDS, END_SECONDS = 3.0123, 3.6


@dataclass(frozen=True)
class Case:
    """A format; by how many samples its container rounds where the audio begins; and by how much a section may differ
    if decoding begins there: dither is another each time."""

    suffix: str
    sound: tuple[str, ...]
    rate_hz: int = RATE_HZ
    layout: str = "stereo"
    begins_seconds: float = 0.0
    rounding_samples: int = 0
    difference: float = 0.0

    @property
    def channels(self) -> int:
        return {"mono": 1, "stereo": 2, "5.1": 6}[self.layout]


def case(name: str, *marks: pytest.MarkDecorator, **fields: object) -> object:
    return pytest.param(Case(**fields), id=name, marks=marks)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "case",
    [
        case("aac in mp4", suffix="mp4", sound=AAC, rate_hz=44_100),
        case("aac 5.1 in mp4", suffix="mp4", sound=AAC, layout="5.1"),
        case("aac before the pictures in mkv", suffix="mkv", sound=AAC, rate_hz=44_100, begins_seconds=-0.6),
        case("pcm mono in avi", suffix="avi", sound=PCM, rate_hz=22_050, layout="mono"),
        case("pcm late in mov", suffix="mov", sound=PCM, begins_seconds=0.6),
        case("flac in mkv", suffix="mkv", sound=FLAC, rate_hz=96_000),
        case("opus in webm", suffix="webm", sound=(*OPUS, *VP8)),
        case("vorbis in mkv", suffix="mkv", sound=VORBIS, rate_hz=44_100),
        case("mp3 in mkv", suffix="mkv", sound=MP3, rate_hz=44_100),
        case("aac in mkv", pytest.mark.long, suffix="mkv", sound=AAC, rate_hz=44_100),
        case(
            "flac half a sample late in mkv",
            suffix="mkv", sound=FLAC, rate_hz=44_100, begins_seconds=0.605, rounding_samples=1,
        ),
        case("aac late in mkv", pytest.mark.long, suffix="mkv", sound=AAC, rate_hz=44_100, begins_seconds=0.6),
        case("aac before in mp4", pytest.mark.long, suffix="mp4", sound=AAC, begins_seconds=-0.6),
        case("flac in mp4", pytest.mark.long, suffix="mp4", sound=FLAC, rate_hz=44_100),
        case("pcm of an odd rate in mov", pytest.mark.long, suffix="mov", sound=PCM, rate_hz=44_101),
        case("pcm of a telephone in mkv", pytest.mark.long, suffix="mkv", sound=PCM, rate_hz=11_025),
        case("alac in mov", pytest.mark.long, suffix="mov", sound=("-c:a", "alac"), rate_hz=44_100),
        case("opus in mp4", pytest.mark.long, suffix="mp4", sound=OPUS),
        case("mp3 in mp4", pytest.mark.long, suffix="mp4", sound=MP3, rate_hz=44_100),
        case("ac3 in mkv", pytest.mark.long, suffix="mkv", sound=("-c:a", "ac3"), difference=0.001),
    ],
)  # fmt: skip
def test_a_section_is_exact_to_the_sample(case: Case, tmp_path: Path) -> None:
    # Given a video with a sound that tells its own time
    wave = chirps(4, rate_hz=case.rate_hz, channels=case.channels)
    wave[2:] = 0
    path = film(
        tmp_path / f"film.{case.suffix}", wave, rate_hz=case.rate_hz, layout=case.layout, sound=case.sound,
        begins_seconds=case.begins_seconds, pictures_seconds=4 + case.begins_seconds,
    )  # fmt: skip
    soundtrack = soundtrack_of(path)

    # When a section late in it is decoded, and the whole
    section = joined_blocks(soundtrack.section(START_SECONDS, END_SECONDS))
    whole = joined_blocks(soundtrack.section(0, END_SECONDS))

    # Then it has its samples to the number, none is early or late, and a seek has changed nothing
    start, end = round(START_SECONDS * RATE_HZ), round(END_SECONDS * RATE_HZ)
    assert (section.shape, whole.shape) == ((2, end - start), (2, end))
    begins_seconds = start / RATE_HZ - max(case.begins_seconds, 0)
    lags = [lag_samples(row, begins_seconds=begins_seconds) for row in section]
    assert max(np.abs(lags)) <= case.rounding_samples
    assert np.abs(section - chirp(np.arange(end - start) / RATE_HZ + begins_seconds)).max() < 0.1
    assert np.abs(section - whole[:, start:]).max() <= case.difference


def test_only_the_surroundings_of_a_section_are_decoded(tmp_path: Path) -> None:
    # Given a minute of audio, of which the analysis has noted where its frames lie, and a limit of 10 s
    path = tmp_path / "minute.mkv"
    tone_of_minute = "aevalsrc=0.4*sin(2*PI*(200*t+10*t*t)):s=8000:d=60"
    pictures = (
        "-f",
        "lavfi",
        "-i",
        "color=gray:size=32x32:rate=5,trim=duration=60",
        "-f",
        "lavfi",
        "-i",
        tone_of_minute,
    )
    ffmpeg(*pictures, "-c:v", "libx264", "-preset", "ultrafast", "-g", "5", *FLAC, str(path))
    request, zero, whole = request_for(path), zero_of(path), soundtrack_of(path)
    tight = replace(request, limits=replace(request.limits, max_audio_samples=10 * 8000))

    # When a section is rendered by these notes
    section = joined_blocks(Soundtrack(tight, zero=zero, index=index_of(path)).section(50.5, 51))

    # Then it is the same as without, when all has to be decoded first
    assert np.array_equal(section, joined_blocks(whole.section(0, 51))[:, round(50.5 * RATE_HZ) :])
    with pytest.raises(InvalidMedia):
        Soundtrack(tight, zero=zero)


def test_there_is_silence_where_there_is_no_audio(tmp_path: Path) -> None:
    # Given audio that begins after 0.6 s, has no packets from 1.6 s to 2.1 s, and ends at 3 s
    whole = film(tmp_path / "whole.mkv", tone(2.4, -6), sound=PCM, begins_seconds=0.6, pictures_seconds=5)
    path = tmp_path / "holes.mkv"
    ffmpeg("-i", str(whole), "-c:v", "copy", "-af", "aselect='lt(t,1.6)+gte(t,2.1)'", *PCM, str(path))

    # When more is asked for than there is, also from within the hole, and after all
    soundtrack = soundtrack_of(path)
    section, within = joined_blocks(soundtrack.section(0.25, 8)), joined_blocks(soundtrack.section(1.8, 2.5))
    after = joined_blocks(soundtrack.section(Fraction(20), Fraction(43, 2)))

    # Then each sample is in its place, and the rest is silent
    sounding = np.flatnonzero(np.abs(section[0]) > 0) / RATE_HZ + 0.25
    edges = sounding[np.flatnonzero(np.diff(sounding, prepend=-1, append=99) > 0.1)[:-1]]
    assert section.shape == (2, round(7.75 * RATE_HZ))
    assert edges == pytest.approx([0.6, next(at for at in packet_seconds(path) if at >= 2.1)], abs=2 / RATE_HZ)
    assert sounding[-1] == pytest.approx(3.0, abs=0.001)
    begin = round(1.8 * RATE_HZ) - round(0.25 * RATE_HZ)
    assert np.array_equal(within, section[:, begin : begin + within.shape[1]])
    assert (after.shape, np.abs(after).max()) == ((2, 72_000), 0)
    assert (soundtrack.goes_on_at(2.5), soundtrack.goes_on_at(3.0)) == (True, False)


def test_a_clock_that_runs_slow_is_followed_as_in_the_analysis(tmp_path: Path) -> None:
    # Given audio whose times fall behind its samples by 0.14 s, and leave out 0.1 s then
    whole = film(tmp_path / "whole.mkv", chirps(4), sound=PCM)
    path = tmp_path / "slow.mkv"
    times = "asetpts='PTS*0.96+gte(T,3.4)*0.1/TB'"
    ffmpeg("-i", str(whole), "-c:v", "copy", "-af", f"asetnsamples=1024,{times}", *PCM, str(path))
    soundtrack = soundtrack_of(path)

    # When a section is rendered, within which that is, and the whole
    section, all_of_it = joined_blocks(soundtrack.section(3.2, 3.9)), joined_blocks(soundtrack.section(0, 3.9))

    # Then both go on with the next sample
    assert np.array_equal(section, all_of_it[:, round(3.2 * RATE_HZ) :])
    assert lag_samples(section[0], begins_seconds=3.2) == 0


def test_the_clock_of_a_stream_does_not_begin_at_0(tmp_path: Path) -> None:
    # Given pictures that begin late, and the same video as a part of a stream of which 100 s have passed
    late = late_pictures(tmp_path / "late.mkv", seconds=0.5)
    part = tmp_path / "part.mkv"
    ffmpeg("-i", str(late), "-map", "0", "-c", "copy", "-output_ts_offset", "100", str(part))

    # When a section of each is rendered
    of_late, of_part = (joined_blocks(soundtrack_of(path).section(2.5, 3)) for path in (late, part))

    # Then it is the same one, and no silence
    assert zero_of(part) == 100
    assert np.array_equal(of_late, of_part)
    assert np.abs(of_late).max() > 0.1


@pytest.mark.parametrize(("suffix", "sound"), [("mkv", FLAC), ("mp4", AAC)])
def test_damage_is_skipped_as_in_the_analysis(suffix: str, sound: tuple[str, ...], tmp_path: Path) -> None:
    # Given a file in which three packets in its first half second are damaged
    path = film(tmp_path / f"damaged.{suffix}", chirps(4), sound=sound)
    damage(path, packets=slice(3, 6))

    # When a section is rendered by the notes of the analysis, and the whole
    section = joined_blocks(soundtrack_of(path, index=index_of(path)).section(START_SECONDS, END_SECONDS))
    whole = joined_blocks(soundtrack_of(path).section(0, END_SECONDS))

    # Then both are the same, and what follows the damage is where its time says, in milliseconds
    start = round(START_SECONDS * RATE_HZ)
    assert np.array_equal(section, whole[:, start:])
    assert abs(lag_samples(section[0], begins_seconds=start / RATE_HZ)) <= RATE_HZ / 2000
    assert np.abs(whole[0, : RATE_HZ // 2] - chirp(np.arange(RATE_HZ // 2) / RATE_HZ)).max() > 0.1


def packet_seconds(path: Path) -> list[float]:
    """When the packets of the audio begin."""
    with av.open(str(path)) as container:
        return [float(packet.pts * packet.time_base) for packet in container.demux(audio=0) if packet.pts is not None]


def damage(path: Path, *, packets: slice) -> None:
    """Set what is in these packets of the audio to zeros."""
    with av.open(str(path)) as container:
        found = [(packet.pos, bytes(packet)) for packet in container.demux(audio=0) if packet.size][packets]
    data = bytearray(path.read_bytes())
    for position, content in found:
        at = data.index(content, position)
        data[at : at + len(content)] = bytes(len(content))
    path.write_bytes(data)


def test_audio_that_cannot_be_decoded_is_none(tmp_path: Path) -> None:
    # Given a video without audio, and one whose audio is encrypted
    without = tmp_path / "without.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=gray:size=32x32:rate=5,trim=duration=1", "-c:v", "libx264", str(without))
    paths = without, with_encrypted_audio(tmp_path / "encrypted.mp4")

    # When a section is asked for nevertheless
    soundtracks = [soundtrack_of(path) for path in paths]
    sections = [joined_blocks(soundtrack.section(0, 0.5)) for soundtrack in soundtracks]

    # Then there is none, which is silence
    assert [soundtrack.channels for soundtrack in soundtracks] == [0, 0]
    assert [(section.shape, np.abs(section).max()) for section in sections] == [((2, 24_000), 0)] * 2


def test_a_time_that_goes_back_ends_what_is_known_of_the_places() -> None:
    # Given an index of five seconds, whose time rises
    index = AudioIndex()
    for number in range(50):
        index.add(number * 100, sample=number * 4800, seconds=number / 10, channels=2)
    assert (place := index.before(3.4))
    assert (place.stamp, place.sample, place.seconds) == (3000, 144_000, 3.0)

    # When a time comes that there was before
    index.add(2000, sample=50 * 4800, seconds=5.0, channels=2)
    index.add(6000, sample=60 * 4800, seconds=6.0, channels=2)

    # Then decoding begins with the file
    assert index.before(3.4) is None
    assert index.before(9.0) is None
