"""What one job decodes is bounded, by the file's claim and by count, shown or not."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.packet import Packet

from clipzy_worker.decode.decoded_pixels import DecodedPixels, coded_frames
from clipzy_worker.decode.source import Source, open_source
from clipzy_worker.decode.still import decoded_again
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaLimits, MediaRequest
from tests.support.hostile.edit_lists import Edit, write_edits
from tests.support.media import clips
from tests.support.media.analysis import analysed

FRAME = clips.SIZE[0] * clips.SIZE[1]
FRAMES = 100
OF_MAX = r"at most 5\.76e-06 are accepted \(MAX_VIDEO_TERAPIXELS\)"

# Encoders that make hidden frames, which later ones refer to; that of VP9 only in its second pass.
HIDING = {
    "vp9": ("-c:v", "libvpx-vp9", "-b:v", "100k", "-auto-alt-ref", "1", "-lag-in-frames", "25", "-passlogfile", "log"),
    "libdav1d": ("-c:v", "libsvtav1", "-preset", "12", "-g", "100"),
}


def request_for(path: Path, limit: int) -> MediaRequest:
    return MediaRequest(path, path.suffix[1:], path.parent, limits=MediaLimits(max_decoded_pixels=limit))


def read(source: Source) -> int:
    return sum(1 for packet in source.packets([source.video]) if packet.size)


def test_a_claim_of_too_much_is_refused_before_decoding(clips_directory: Path) -> None:
    # Given a clip of 100 frames; When as much may be decoded, Then it is opened
    path = clips.cuts_clip(clips_directory).path
    with open_source(request_for(path, FRAMES * FRAME)) as source:
        assert read(source) == FRAMES
    # And with a pixel less it is not
    text = r"claims 100 frames of 320x180, which is 5\.76e-06 terapixels to decode; at most .* \(MAX_VIDEO_TERAPIXELS\)"
    with pytest.raises(InvalidMedia, match=text), open_source(request_for(path, FRAMES * FRAME - 1)):
        pass


def test_frames_that_an_edit_list_repeats_are_claimed_too(clips_directory: Path, tmp_path: Path) -> None:
    # Given a list that shows a fifth of a second, twice; each time all frames are decoded
    path = write_edits(clips.cuts_clip(clips_directory).path, [Edit(0.1, 3.8), Edit(0.1, 3.8)], to=tmp_path / "e.mp4")
    with pytest.raises(InvalidMedia, match="claims 200 frames"), open_source(request_for(path, FRAMES * FRAME)):
        pass


def test_frames_are_counted_where_the_file_claims_none(clips_directory: Path) -> None:
    # Given a file without a duration and an index
    path = clips.endless_clip(clips_directory).path
    with open_source(request_for(path, FRAMES * FRAME - 1)) as source, pytest.raises(InvalidMedia, match="terapixels"):
        read(source)
    with open_source(request_for(path, FRAMES * FRAME)) as source:
        assert read(source) == FRAMES


def test_frames_that_are_not_shown_are_counted(clips_directory: Path, tmp_path: Path) -> None:
    # Given an edit list that shows the last frame alone, and a limit for the frames in front of it
    path = write_edits(clips.cuts_clip(clips_directory).path, [Edit(0.04, 3.96)], to=tmp_path / "last.mp4")
    with open_source(request_for(path, FRAMES * FRAME)) as opened:
        source = replace(opened, decoded=DecodedPixels((FRAMES - 1) * FRAME))
        # When it is read, Then there is one too many
        with pytest.raises(InvalidMedia, match="terapixels"):
            read(source)


@pytest.mark.parametrize("decoder", HIDING)
def test_hidden_frames_are_counted(decoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a video with frames that are never shown
    path = tmp_path / "hidden.mkv"
    monkeypatch.chdir(tmp_path)  # for the log of the first pass
    for number in ("1", "2") if decoder == "vp9" else ("0",):
        passes = ("-pass", number) if decoder == "vp9" else ()
        scene = ("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=2")
        clips.ffmpeg(*scene, *HIDING[decoder], *passes, str(path))
    with open_source(request_for(path, 1 << 40)) as source:
        assert source.video.codec_context.name == decoder
        packets = [packet for packet in source.packets([source.video]) if packet.size]
    # Then more frames are counted than packets, each of which shows one
    assert sum(coded_frames(decoder, packet) for packet in packets) > len(packets) == 50
    # And with a limit for as many as are shown it is refused
    with (
        open_source(request_for(path, 50 * 160 * 90)) as source,
        pytest.raises(InvalidMedia, match="terapixels"),
    ):
        read(source)


@pytest.mark.parametrize(
    ("decoder", "encoder"),
    [("mpeg2video", ("-c:v", "mpeg2video")), ("libdav1d", ("-c:v", "libsvtav1", "-svtav1-params", "pred-struct=1"))],
)
def test_all_frames_of_a_packet_are_counted(decoder: str, encoder: tuple[str, ...], tmp_path: Path) -> None:
    # Given ten frames in one packet, all of which the decoder decodes
    path = tmp_path / "single.mkv"
    clips.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-frames:v", "10", *encoder, str(path))
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    # When they are counted, Then each is
    assert len(packets) == 10
    assert coded_frames(decoder, Packet(b"".join(packets))) == 10


@pytest.mark.parametrize("data", [b"\0", b"\x32", b"\x36\0", b"\x12\xff\xff", b"\xff" * 20, bytes(1000)])
@pytest.mark.parametrize("decoder", ["libdav1d", "vp9", "mpeg2video", "h264"])
def test_damaged_packets_count_too(decoder: str, data: bytes) -> None:
    assert coded_frames(decoder, Packet(data)) >= 1


@pytest.fixture
def decode_poster(clips_directory: Path) -> Callable[[DecodedPixels], bool]:
    """Decodes the frame at one second again, as is done for the poster; whether that was possible."""
    path = clips.cuts_clip(clips_directory).path
    return lambda decoded: decoded_again(request_for(path, 1 << 40), Fraction(1), (32, 18), decoded=decoded) is not None


def test_the_second_decoding_of_a_frame_is_counted(decode_poster: Callable[[DecodedPixels], bool]) -> None:
    # Given a job that has decoded almost as much as it may
    left, count = 10, DecodedPixels(1000 * FRAME)
    count.add(frames=1000 - left, width=clips.SIZE[0], height=clips.SIZE[1])
    # When its poster needs more than that, Then it keeps the one it has
    assert not decode_poster(count)
    # And otherwise it is decoded again, and counted
    fresh = DecodedPixels(1000 * FRAME)
    assert decode_poster(fresh)
    with pytest.raises(InvalidMedia):
        fresh.add(frames=990, width=clips.SIZE[0], height=clips.SIZE[1])


def test_audio_that_the_file_does_not_claim_is_counted(tmp_path: Path) -> None:
    # Given two seconds of silence in two channels, in a file that declares no duration
    path = tmp_path / "silence.mkv"
    clips.ffmpeg(
        *(
            "-f",
            "lavfi",
            "-i",
            "color=size=16x16:rate=25:duration=2",
            "-f",
            "lavfi",
            "-i",
            "anullsrc=r=48000:cl=stereo",
        ),
        *("-t", "2", "-c:v", "mjpeg", "-c:a", "flac", "-live", "1", str(path)),
    )
    samples = 2 * 2 * 48_000
    # When as many samples may be decoded, Then it is analysed, and with one less it is refused
    for limit, is_refused in ((samples, False), (samples - 1, True)):
        request = MediaRequest(path, "mkv", tmp_path, limits=MediaLimits(max_audio_samples=limit))
        with pytest.raises(InvalidMedia, match="billion samples") if is_refused else nullcontext():
            assert analysed(request)["audio"]["channels"] == 2
