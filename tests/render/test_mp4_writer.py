"""The files that are written: pictures, stamps, samples and tags, as other programs read them."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clipzy_storage.models.clip_options import VideoCodec
from clipzy_worker.render.mp4_writer import Mp4Writer, Written
from clipzy_worker.render.verification import verify
from clipzy_worker.sandbox.request import MediaRequest
from tests.render import synthetic
from tests.support.media.rendered_files import boxes_of, lag_of, pictures_of, psnr_db, sound_of

PICTURES = 130  # two key frames follow the first
SAMPLES = round(PICTURES / synthetic.NTSC * 48_000)
TAGS = {"h264": "avc1", "hevc": "hvc1", "av1": "av01"}


@dataclass(frozen=True)
class File:
    path: Path
    codec: VideoCodec
    written: Written


@pytest.fixture(scope="module", params=["h264", "hevc", "av1"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> File:
    path = tmp_path_factory.mktemp(request.param) / "file.mp4"
    return File(path, request.param, synthetic.write(path, synthetic.video_format(request.param), [1] * PICTURES))


def packets_of(path: Path) -> list[tuple[Fraction, Fraction, Fraction, bool]]:
    """Of the video, in the order of decoding: presented at, decoded at, duration, is a key frame."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        tick = Fraction(video.time_base or 0)
        return [
            ((packet.pts or 0) * tick, (packet.dts or 0) * tick, (packet.duration or 0) * tick, packet.is_keyframe)
            for packet in container.demux(video)
            if packet.size
        ]


def test_its_pictures_are_those_that_were_given(file: File) -> None:
    decoded = pictures_of(file.path, size=synthetic.SIZE)
    assert len(decoded) == PICTURES
    expected = [synthetic.picture(number)[: synthetic.SIZE[1]] for number in range(PICTURES + 1)]
    for number, one in enumerate(decoded):
        assert psnr_db(one, expected[number]) > max(30, psnr_db(one, expected[number + 1]) + 10)


def test_its_pictures_follow_each_other_exactly_at_the_rate(file: File) -> None:
    stamps = sorted(packet[0] for packet in packets_of(file.path))
    assert stamps == [number / synthetic.NTSC for number in range(PICTURES)]


def test_its_sound_has_the_samples_that_were_given(file: File) -> None:
    sound = sound_of(file.path)
    assert sound.shape == (2, SAMPLES)
    assert lag_of(sound, synthetic.noise(SAMPLES)) == 0


def test_it_plays_before_it_is_loaded(file: File) -> None:
    kinds = [kind for kind in boxes_of(file.path) if kind != "free"]
    assert kinds == ["ftyp", "moov", "mdat"]


def test_its_tags_tell_how_to_show_it(file: File) -> None:
    with av.open(str(file.path)) as container:
        video = container.streams.video[0]
        decoder = video.codec_context
        assert decoder.codec_tag == TAGS[file.codec]
        assert (decoder.width, decoder.height) == synthetic.SIZE
        assert (decoder.colorspace, decoder.color_primaries, decoder.color_trc, decoder.color_range) == (1, 1, 1, 1)
        assert video.sample_aspect_ratio == 1
        audio = container.streams.audio[0].codec_context
        assert (audio.name, audio.layout.name, audio.sample_rate) == ("aac", "stereo", 48_000)


def test_it_does_not_tell_what_wrote_it_nor_when(file: File) -> None:
    data = file.path.read_bytes()
    assert b"Lavf" not in data
    assert b"Lavc" not in data
    at = data.index(b"mvhd") + 4
    assert data[at : at + 12] == bytes(12)  # version, flags, times of creation and of modification


def test_there_is_a_key_frame_every_two_seconds_and_no_picture_needs_one_before_it(file: File) -> None:
    # Given the pictures in the order of decoding, When they are grouped by the key frames
    packets = packets_of(file.path)
    keys = [number for number, packet in enumerate(packets) if packet[3]]
    # Then no group is longer than 2 s, and all that is decoded after a key frame is shown after it
    assert max(np.diff([*keys, len(packets)])) <= 2 * round(synthetic.NTSC)
    for key in keys:
        assert all(packet[0] >= packets[key][0] for packet in packets[key:])


def test_kept_stamps_stay_to_a_tick_and_so_does_the_duration_of_the_last_picture(tmp_path: Path) -> None:
    # Given pictures that are shown for 1 to 400 ms
    durations = [int(ticks) for ticks in np.random.default_rng(3).integers(90, 36_000, 40)]
    path = tmp_path / "variable.mp4"
    # When they are written
    written = synthetic.write(path, synthetic.video_format(is_variable=True), durations)
    # Then each begins where those before it end, and its track lasts to the end of the last one
    begins = np.cumsum([0, *durations])
    packets = sorted(packets_of(path))
    assert [packet[0] * 90_000 for packet in packets] == list(begins[:-1])
    at = path.read_bytes().index(b"elst") + 12
    assert int.from_bytes(path.read_bytes()[at : at + 4], "big") == -(-int(begins[-1]) * 48_000 // 90_000)
    assert written.end_seconds == Fraction(int(begins[-1]), 90_000)


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_segments_are_joined_without_encoding_them_again(codec: VideoCodec, tmp_path: Path) -> None:
    # Given two segments of the same format without sound, the second of which goes on where the first ends
    video, counts = synthetic.video_format(codec), (35, 20)
    paths = [tmp_path / "0.mp4", tmp_path / "1.mp4"]
    for number, path in enumerate(paths):
        synthetic.write(path, video, [1] * counts[number], has_sound=False, first=number * counts[0])
    samples = round(sum(counts) / synthetic.NTSC * 48_000)
    # When their packets are copied, and sound is added
    joined = tmp_path / "joined.mp4"
    with av.open(str(paths[0])) as first, av.open(str(paths[1])) as second:
        template = first.streams.video[0]
        with Mp4Writer(joined, video, has_sound=True, copies=template) as writer:
            offset = 0
            for container, count in zip((first, second), counts, strict=True):
                for packet in container.demux(container.streams.video[0]):
                    if packet.size:
                        ticks = offset / synthetic.NTSC / Fraction(packet.time_base)
                        packet.pts, packet.dts = int((packet.pts or 0) + ticks), int((packet.dts or 0) + ticks)
                        writer.copied(packet)
                offset += count
            writer.sound(synthetic.noise(samples))
    # Then the result has all pictures and samples, and is as one that was written at once
    verify(joined, writer.written, MediaRequest(joined, "mp4", tmp_path))
    decoded = pictures_of(joined, size=synthetic.SIZE)
    assert len(decoded) == sum(counts)
    for number in (0, 34, 35, 54):
        assert psnr_db(decoded[number], synthetic.picture(number)[: synthetic.SIZE[1]]) > 30
    assert sound_of(joined).shape == (2, samples)
