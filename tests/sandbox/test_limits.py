"""Limits: each is enforced, with a reason, and documented; lack of memory is not reported as damage."""

import dataclasses
import json
import re
import sys
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import pytest
from av.stream import Discard

from clipzy_storage.models.analysis import Analysis
from clipzy_worker.decode.input_limits import PacketLimits
from clipzy_worker.decode.source import open_source
from clipzy_worker.errors import InvalidMedia, MediaCrashed
from clipzy_worker.sandbox.output_checks import output_excess
from clipzy_worker.sandbox.process import MediaLimits, MediaProcess, MediaRequest
from tests.support.media import clips

DOCS = Path(__file__).parents[2] / "docs" / "media-safety.md"

CLAIMS = {
    "million pixels": MediaLimits(max_pixels=10_000),
    "a side": MediaLimits(max_side=200),
    "frames per second": MediaLimits(max_frame_rate=20),
    "longer than": MediaLimits(max_duration_seconds=2),
    "video and audio tracks": MediaLimits(max_streams=1),
    "samples per second": MediaLimits(max_sample_rate=8000),
    "channels": MediaLimits(max_channels=0),
    "billion samples": MediaLimits(max_audio_samples=4 * 44_100 - 1),
}


def analysed(request: MediaRequest) -> Analysis:
    request.out_directory.mkdir(exist_ok=True)
    with MediaProcess(request) as media:
        for _fraction in media.updates(poll_seconds=0.1):
            pass
        return media.result()


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_over_a_limit_is_refused(name: str, tmp_path: Path, clips_directory: Path) -> None:
    # Given a clip, and a limit below its claim
    request = MediaRequest(clips.cuts_clip(clips_directory).path, "mp4", tmp_path, limits=CLAIMS[name])

    # When it is opened, Then the text names what is too much, before a picture was made
    with pytest.raises(InvalidMedia, match=name), open_source(request):
        pass


def test_tracks_that_are_never_read_have_another_limit(tmp_path: Path, clips_directory: Path) -> None:
    # Given a video with embedded fonts, as videos with subtitles have them
    path, font = tmp_path / "fonts.mkv", tmp_path / "a.ttf"
    font.write_bytes(b"font")
    attached = [
        part
        for number in range(20)
        for part in ("-attach", str(font), f"-metadata:s:{number + 2}", "mimetype=font/ttf")
    ]
    clips.ffmpeg("-i", str(clips.cuts_clip(clips_directory).path), "-map", "0", *attached, "-c", "copy", str(path))
    request = MediaRequest(path, "mkv", tmp_path, limits=MediaLimits(max_streams=2))

    # When it is opened, Then they are accepted, up to their limit, and the demuxer skips them
    with open_source(request) as source:
        assert [stream.discard for stream in source.container.streams] == [Discard.default] * 2 + [Discard.all] * 20
    tighter = replace(request, limits=MediaLimits(max_other_streams=10))
    with pytest.raises(InvalidMedia, match="20 tracks besides"), open_source(tighter):
        pass


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (MediaLimits(max_frame_rate=1), r"frames in \d"),
        (MediaLimits(max_duration_seconds=0), "more audio than the longest"),
    ],
)
def test_a_limit_is_also_enforced_while_packets_are_read(
    limits: MediaLimits, text: str, tmp_path: Path, clips_directory: Path
) -> None:
    # Given a video that is longer than its header claims
    request = MediaRequest(clips.cuts_clip(clips_directory).path, "mp4", tmp_path)
    if "audio" in text:
        path = tmp_path / "long-sound.mkv"
        sound = ("-f", "lavfi", "-i", "sine=duration=15", "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "flac")
        clips.ffmpeg("-i", str(clips.one_frame_clip(clips_directory).path), *sound, str(path))
        request = MediaRequest(path, "mkv", tmp_path)

    # When its packets are read, Then reading ends at the limit
    with open_source(request) as opened:
        source = replace(opened, limits=limits)
        tracks = [source.video, *([source.audio] if source.audio else [])]
        with pytest.raises(InvalidMedia, match=text):
            for _packet in source.packets(tracks):
                pass


def test_absurd_stamps_lift_no_limit(tmp_path: Path, clips_directory: Path) -> None:
    # Given packets each of which claims to come eleven days after the one before
    request = MediaRequest(clips.cuts_clip(clips_directory).path, "mp4", tmp_path)
    with open_source(request) as source:
        assert source.video.time_base is not None
        packets = [packet for packet in source.packets([source.video]) if packet.size]
        for number, packet in enumerate(packets):
            packet.dts = number * round(1_000_000 / source.video.time_base)

        # When they are counted, Then they are allowed the frames of the longest video, and no more
        tight = MediaLimits(max_frame_rate=1, max_duration_seconds=2)
        limits = PacketLimits(source.video, tight, size_bytes=source.size_bytes, decoded=source.decoded)
        with pytest.raises(InvalidMedia, match=r"has 25 frames in 2\.0 seconds"):
            list(limits.checked(iter(packets)))


def test_all_packets_of_a_valid_file_are_read(tmp_path: Path, clips_directory: Path) -> None:
    with open_source(MediaRequest(clips.cuts_clip(clips_directory).path, "mp4", tmp_path)) as source:
        packets = list(source.packets([source.video]))
    assert len(packets) == 100 + 1  # the empty one at the end
    assert packets[-2].pts is not None
    assert Fraction(packets[-2].time_base or 0) > 0


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (MediaLimits(cpu_seconds=1), "ran out of CPU time"),
        (MediaLimits(file_bytes=1000), "wrote too large a file"),
        (MediaLimits(output_files=1), "wrote more files than allowed"),
        (MediaLimits(memory_bytes=64 << 20), "media process"),
        (MediaLimits(resident_bytes=64 << 20), "used more memory than allowed"),
    ],
)
def test_an_exceeded_limit_stops_the_analysis(
    limits: MediaLimits, reason: str, tmp_path: Path, clips_directory: Path
) -> None:
    # Given a clip whose analysis needs more than this; of CPU time some four seconds on a machine of today
    clip = clips.long_clip(clips_directory, seconds=120)
    request = MediaRequest(clip.path, "mp4", tmp_path / "out", limits=limits)

    # When it is analysed, Then that is a crash with a reason, and the file is not at fault
    with pytest.raises(MediaCrashed, match=reason):
        analysed(request)


@pytest.mark.long
def test_lack_of_memory_is_not_reported_as_damage(tmp_path: Path, clips_directory: Path) -> None:
    # Given large frames, many decoder threads, and less memory than they need
    path = clips_directory / "large.mp4"
    large = "testsrc2=size=6000x6000:rate=12:duration=0.7"
    quick = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    clips.ffmpeg("-f", "lavfi", "-i", large, *quick, str(path))
    limits = MediaLimits(memory_bytes=760 << 20)
    request = MediaRequest(path, "mp4", tmp_path / "out", decoder_threads=16, limits=limits)

    # When it is analysed, Then the reason is the memory, not the file
    with pytest.raises(MediaCrashed, match="ran out of memory"):
        analysed(request)

    # And with the memory of a job the largest accepted frame is analysed without warnings
    assert analysed(replace(request, limits=MediaLimits())).warnings == []


def test_links_are_not_followed_when_files_are_counted(tmp_path: Path) -> None:
    # Given a directory with files in subdirectories, and a link to a large file
    (tmp_path / "large").write_bytes(bytes(10_000))
    (tmp_path / "out" / "thumbs").mkdir(parents=True)
    (tmp_path / "out" / "thumbs" / "1.jpg").write_bytes(bytes(600))
    (tmp_path / "out" / "poster.jpg").write_bytes(bytes(600))
    (tmp_path / "out" / "link").symlink_to(tmp_path / "large")

    # When it is measured, Then everything in it counts, and nothing else
    assert output_excess(tmp_path / "out", MediaLimits(output_bytes=1300)) is None
    assert output_excess(tmp_path / "out", MediaLimits(output_bytes=1100)) == "wrote more bytes than allowed"
    assert output_excess(tmp_path / "out", MediaLimits(output_files=3)) == "wrote more files than allowed"


@pytest.mark.parametrize(("width", "height", "threads"), [(1920, 1080, 16), (3840, 2160, 8), (7680, 4320, 2)])
def test_large_frames_have_fewer_decoder_threads(width: int, height: int, threads: int, tmp_path: Path) -> None:
    # Given one frame of this size
    path = tmp_path / "one.mkv"
    frame = f"color=size={width}x{height}:rate=1:duration=1"
    clips.ffmpeg("-f", "lavfi", "-i", frame, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", str(path))

    # When sixteen threads are allowed, Then it uses as many as keep a job of 4K under 1 GiB
    with open_source(MediaRequest(path, "mkv", tmp_path, decoder_threads=16)) as source:
        assert source.video.codec_context.thread_count == threads


def test_the_log_has_no_control_characters(tmp_path: Path, clips_directory: Path) -> None:
    # Given a child that writes terminal control sequences, as a file may cause
    script = "import sys\nsys.stderr.write('one\\x1b[2J\\x07\\u202e\\ntwo\\r\\n')\nraise SystemExit(1)"
    request = MediaRequest(clips.cuts_clip(clips_directory).path, "mp4", tmp_path)
    with MediaProcess(request, command=(sys.executable, "-I", "-c", script)) as media:
        for _fraction in media.updates():
            pass

    # Then only printable characters are left, line by line
    assert media.stderr_tail == "one[2J\ntwo"


def test_a_request_is_unchanged_by_the_pipe(tmp_path: Path) -> None:
    request = MediaRequest(tmp_path / "a", "mp4", tmp_path, limits=MediaLimits(threads=7), sandbox="off")
    assert MediaRequest.from_json(request.to_json()) == request
    assert json.loads(request.to_json())["sandbox"] == "off"


def test_the_docs_have_every_limit() -> None:
    # Given the table of the docs; When it is compared with the limits, Then each is there with its value
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", DOCS.read_text(), flags=re.MULTILINE))
    assert {name: int(number.replace(",", "")) for name, number in rows.items()} == {
        field.name: field.default for field in fields(MediaLimits)
    }
    assert dataclasses.asdict(MediaLimits()).keys() == rows.keys()
