"""What cameras and editing programs still write: each is decoded, looks as it should, and is counted."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from av.packet import Packet

from clipzy_storage.container_sniffing import SNIFF_BYTES, container_of
from clipzy_worker.decode.decoded_pixels import DecodedPixels, coded_frames
from clipzy_worker.decode.source import open_source
from clipzy_worker.sandbox.request import MediaRequest
from tests.support.media import clips, geometries
from tests.support.media.analysis import analysed
from tests.support.media.dv_type_1 import dv_type_1

RATE, SECONDS = 25, 1
PAL, NTSC = (720, 576), (720, 480)


@dataclass(frozen=True)
class Coding:
    """How ffmpeg writes it, what it is called, and its size as displayed."""

    suffix: str
    options: tuple[str, ...]
    codec: str
    pixels: str = "yuv420p"
    size: tuple[int, int] = (320, 180)
    shown: tuple[int, int] | None = None
    tolerance: float = 4.0  # levels
    rate: str = "25"


def codings() -> dict[str, Coding]:
    dv, dnx = ("-c:v", "dvvideo"), ("-c:v", "dnxhd", "-profile:v")
    wide = "setsar=64/45"
    found = {
        "DV, PAL": Coding("avi", (*dv, "-vf", wide), "dvvideo", size=PAL, shown=(1024, 576)),
        "DV, PAL in QuickTime": Coding("mov", (*dv, "-vf", wide), "dvvideo", size=PAL, shown=(1024, 576)),
        "DV, NTSC": Coding("avi", dv, "dvvideo", "yuv411p", NTSC, tolerance=6, rate="30000/1001"),
        "DV in Matroska": Coding("mkv", dv, "dvvideo", size=PAL),
        "DVCPRO50": Coding("mov", dv, "dvvideo", "yuv422p", PAL),
        "DNxHD": Coding("mov", ("-c:v", "dnxhd", "-b:v", "36M"), "dnxhd", "yuv422p", (1920, 1080)),
        "DNxHR LB": Coding("mov", (*dnx, "dnxhr_lb"), "dnxhd", "yuv422p", (640, 360)),
        "DNxHR HQX": Coding("mkv", (*dnx, "dnxhr_hqx"), "dnxhd", "yuv422p10le", (640, 360)),
        "DNxHR 444": Coding("mkv", (*dnx, "dnxhr_444"), "dnxhd", "yuv444p10le", (640, 360)),
        "CineForm": Coding("mov", ("-c:v", "cfhd"), "cfhd", "yuv422p10le"),
        "CineForm in AVI": Coding("avi", ("-c:v", "cfhd"), "cfhd", "yuv422p10le"),
        "CineForm RGB": Coding("mkv", ("-c:v", "cfhd"), "cfhd", "gbrp12le"),
        "H.263 in 3GP": Coding("3gp", ("-c:v", "h263", "-q:v", "2"), "h263", size=(352, 288), shown=(352, 288)),
        "H.263 in AVI": Coding("avi", ("-c:v", "h263", "-q:v", "2"), "h263", size=(176, 144), shown=(176, 144)),
        "DivX 3": Coding("avi", ("-c:v", "msmpeg4", "-vtag", "DIV3", "-q:v", "2"), "msmpeg4v3"),
        "MP43": Coding("avi", ("-c:v", "msmpeg4", "-q:v", "2"), "msmpeg4v3"),
        "DivX 3 in Matroska": Coding("mkv", ("-c:v", "msmpeg4", "-q:v", "2"), "msmpeg4v3"),
        "FFV1, version 1": Coding("avi", ("-c:v", "ffv1", "-level", "1"), "ffv1"),
        "FFV1, 10 bits": Coding("mkv", ("-c:v", "ffv1", "-level", "3"), "ffv1", "yuv422p10le"),
        "FFV1, RGB": Coding("mov", ("-c:v", "ffv1", "-level", "3"), "ffv1", "bgr0"),
    }
    for suffix in ("avi", "mkv", "mp4", "mov"):
        coding = ("-c:v", "mpeg1video", "-q:v", "2", "-bf", "0" if suffix == "avi" else "2")
        found[f"MPEG-1 in {suffix}"] = Coding(suffix, coding, "mpeg1video")
    return found


CODINGS = codings()


def made(coding: Coding, directory: Path) -> Path:
    path = directory / f"coded.{coding.suffix}"
    clips.ffmpeg("-f", "lavfi", "-i", bars(coding), *coding.options, "-pix_fmt", coding.pixels, str(path))
    return path


def bars(coding: Coding) -> str:
    return f"smptehdbars=size={coding.size[0]}x{coding.size[1]}:rate={coding.rate}:duration={SECONDS}"


def request_for(path: Path, out_directory: Path) -> MediaRequest:
    container = container_of(path.read_bytes()[:SNIFF_BYTES])
    assert container is not None
    return MediaRequest(path, container, out_directory)


@pytest.mark.parametrize("name", CODINGS)
def test_it_is_seen_as_it_is(name: str, tmp_path: Path) -> None:
    # Given bars, coded in this way
    coding = CODINGS[name]
    path = made(coding, tmp_path)

    # When it is analysed
    found = analysed(request_for(path, tmp_path))

    # Then the facts are right, nothing is complained of, and the poster shows the bars in their colours
    source = found["source"]
    numerator, _, denominator = coding.rate.partition("/")
    assert source["video_codec"] == coding.codec
    assert source["frame_rate"] == pytest.approx(int(numerator) / int(denominator or 1), abs=0.01)
    assert source["duration_seconds"] == pytest.approx(SECONDS, abs=0.05)
    assert found["warnings"] == []
    poster = geometries.picture(tmp_path / "poster.jpg")
    expected = clips.raw_picture(bars(coding), width=poster.shape[1], height=poster.shape[0])
    drawn = np.frombuffer(expected, np.uint8).reshape(poster.shape)
    small = [cv2.resize(one, (64, 36), interpolation=cv2.INTER_AREA).astype(float) for one in (poster, drawn)]
    assert np.abs(small[0] - small[1]).mean() < coding.tolerance
    # And its shape is that of ffmpeg
    if coding.shown:
        assert (source["width"], source["height"]) == coding.shown


def counted_and_decoded(path: Path, out_directory: Path) -> tuple[int, int]:
    """Frames that are counted beforehand, and those that the decoder makes."""
    counted = decoded = 0
    with open_source(request_for(path, out_directory), decoded=DecodedPixels(10**15)) as source:
        for packet in source.container.demux(source.video):
            if packet.size:
                counted += coded_frames(source.video.codec_context.name, packet)
            decoded += len(packet.decode())
    return counted, decoded


@pytest.mark.parametrize("name", CODINGS)
def test_its_frames_are_counted(name: str, tmp_path: Path) -> None:
    # Given a video in this codec, When its packets are counted, Then it is as many as are decoded
    counted, decoded = counted_and_decoded(made(CODINGS[name], tmp_path), tmp_path)
    assert counted == decoded >= RATE * SECONDS


def test_many_pictures_in_one_packet_of_mpeg_1_are_counted(tmp_path: Path) -> None:
    # Given all pictures of a video as one packet
    raw = tmp_path / "raw.m1v"
    clips.ffmpeg("-f", "lavfi", "-i", bars(Coding("m1v", (), "")), "-c:v", "mpeg1video", str(raw))

    # When it is counted, Then each of them is
    assert coded_frames("mpeg1video", Packet(raw.read_bytes())) == RATE * SECONDS


def test_one_stream_of_pictures_and_sound_has_both(tmp_path: Path) -> None:
    # Given DV as captured from a tape, when it is analysed
    path = dv_type_1(tmp_path / "captured.avi", seconds=1)
    found = analysed(request_for(path, tmp_path))
    # Then its facts are right, and its tone is heard
    source = found["source"]
    assert (source["video_codec"], source["audio_codec"]) == ("dvvideo", "pcm_s16le")
    assert (source["width"], source["height"], source["frame_rate"]) == (768, 576, 25)
    assert source["duration_seconds"] == pytest.approx(1)
    assert found["audio"]["integrated_lufs"] == pytest.approx(-18, abs=4)
    assert found["warnings"] == []
