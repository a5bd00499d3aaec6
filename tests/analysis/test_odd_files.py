"""Odd but honest files: each is analysed, says what a viewer would see, and looks as it should."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.analysis.conftest import Analyse
from tests.support.media import clips

BARS = "smptehdbars=size=320x180:rate=25,trim=duration=2"
TO_HDR = "zscale=pin=bt709:tin=bt709:min=bt709:rin=limited:p=bt2020:t={}:m=2020_ncl:r=limited:npl=203"
TAGS = "colorprim=bt2020:transfer={}:colormatrix=bt2020nc"
X265 = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params"]


@dataclass(frozen=True)
class Odd:
    """How ffmpeg makes the file from bars, and what is true of it beside two seconds at 320x180."""

    suffix: str
    coding: tuple[str, ...]
    filters: str = "format=yuv420p"
    facts: tuple[tuple[str, Any], ...] = ()
    tolerance: float = 3.0  # levels


ODD = {
    "10 bits of H.264": Odd("mp4", ("-c:v", "libx264"), "format=yuv420p10le", (("video_codec", "h264"),)),
    "4:4:4": Odd("mp4", ("-c:v", "libx264"), "format=yuv444p"),
    "10 bits of HEVC": Odd("mp4", (*X265, "log-level=error"), "format=yuv420p10le", (("video_codec", "hevc"),)),
    "PQ": Odd(
        "mp4",
        (*X265, f"log-level=error:{TAGS.format('smpte2084')}"),
        f"format=yuv444p10le,{TO_HDR.format('smpte2084')},format=yuv420p10le",
        tolerance=16,  # white is rolled off; without tone mapping it is 45
    ),
    "HLG": Odd(
        "mp4",
        (*X265, f"log-level=error:{TAGS.format('arib-std-b67')}"),
        f"format=yuv444p10le,{TO_HDR.format('arib-std-b67')},format=yuv420p10le",
        tolerance=16,  # without tone mapping 30
    ),
    "AV1": Odd("webm", ("-c:v", "libsvtav1", "-preset", "12"), facts=(("video_codec", "av1"),)),
    "alpha in VP9": Odd("webm", clips.QUICK_VP9, "format=yuva420p"),
    "alpha in ProRes": Odd("mov", ("-c:v", "prores_ks", "-profile:v", "4444"), "format=yuva444p10le"),
    "ProRes": Odd("mov", ("-c:v", "prores_ks"), "format=yuv422p10le", (("video_codec", "prores"),)),
    "MPEG-2": Odd("mkv", ("-c:v", "mpeg2video", "-q:v", "2"), facts=(("video_codec", "mpeg2video"),)),
    "MPEG-4 in AVI": Odd("avi", ("-c:v", "mpeg4", "-q:v", "2"), facts=(("video_codec", "mpeg4"),)),
    "Motion JPEG of full range": Odd("avi", ("-c:v", "mjpeg", "-q:v", "2"), "format=yuvj420p"),
    "interlaced": Odd("mp4", ("-c:v", "libx264", "-flags", "+ildct+ilme"), "setfield=tff,format=yuv420p"),
    "anamorphic and turned": Odd("mp4", ("-c:v", "libx264"), "setsar=2,format=yuv420p", (("width", 640),)),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_seen_as_it_is(name: str, tmp_path: Path, analyse: Analyse) -> None:
    # Given bars, coded in this way
    odd = ODD[name]
    path = tmp_path / f"odd.{odd.suffix}"
    clips.ffmpeg("-f", "lavfi", "-i", BARS, "-vf", odd.filters, *odd.coding, str(path))

    # When it is analysed
    found = analyse(path)

    # Then the facts are right, nothing is complained of, and the poster shows the bars in their colours
    facts = {"width": 320, "height": 180, "frame_rate": 25.0, "duration_seconds": 2.0} | dict(odd.facts)
    assert {fact: found["source"][fact] for fact in facts} == facts
    assert found["warnings"] == []
    poster = cv2.imread(str(tmp_path / "poster.jpg"))
    assert poster is not None
    assert difference(poster, bars(poster.shape[1], poster.shape[0])) < odd.tolerance


def test_fields_do_not_comb(tmp_path: Path, analyse: Analyse) -> None:
    """Without blending rows differ by 5.6 levels on the average."""
    # Given a bright bar that moves quickly, each frame woven of two moments
    graph = "color=gray:size=640x360:rate=50,trim=duration=2[a];color=white:size=120x360:rate=50[b];"
    graph += "[a][b]overlay=x='mod(14*n,520)':shortest=1,interlace=scan=tff:lowpass=off,format=yuv420p"
    path = tmp_path / "fields.mp4"
    clips.ffmpeg("-filter_complex", graph, "-c:v", "libx264", "-qp", "4", "-flags", "+ildct+ilme", str(path))

    # When it is analysed
    analyse(path)

    # Then neighbouring rows of its poster are alike
    rows = cv2.imread(str(tmp_path / "poster.jpg"), cv2.IMREAD_GRAYSCALE)
    assert rows is not None
    assert np.abs(np.diff(rows.astype(int), axis=0)).mean() < 3


def test_an_edit_list_is_obeyed(tmp_path: Path, clips_directory: Path, analyse: Analyse) -> None:
    # Given a clip of 4 s with a cut at 1.2 s, of which an edit list shows all from 0.6 s on, without coding it anew
    whole = clips.cuts_clip(clips_directory, shot_frames=(30, 70))
    path = tmp_path / "edited.mp4"
    clips.ffmpeg("-ss", "0.6", "-i", str(whole.path), "-c", "copy", str(path))

    # When it is analysed
    found = analyse(path)

    # Then what the list leaves out is not there
    assert found["source"]["duration_seconds"] == pytest.approx(3.4, abs=0.05)
    assert [shot["start_seconds"] for shot in found["shots"]] == [0.0, pytest.approx(0.6, abs=0.05)]
    assert found["warnings"] == []


def test_a_file_that_breaks_off_is_used_and_the_warning_says_so(
    tmp_path: Path, clips_directory: Path, analyse: Analyse
) -> None:
    # Given an mp4 whose index comes first, as for streaming, and whose end is missing
    whole = clips.cuts_clip(clips_directory, shot_frames=(50, 50))
    path = tmp_path / "whole.mp4"
    clips.ffmpeg("-i", str(whole.path), "-c", "copy", "-movflags", "+faststart", str(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])

    # When it is analysed
    found = analyse(path)

    # Then what is there was used, and its owner is told
    assert 1 < found["source"]["duration_seconds"] < 4
    assert any("claims 4.00 seconds" in warning for warning in found["warnings"])


def test_the_audio_keeps_to_the_frames_where_the_first_are_lost(tmp_path: Path, analyse: Analyse) -> None:
    # Given a video of 6 s that is silent for 4, whose frames of the first two seconds are not there
    whole, path = tmp_path / "whole.mkv", tmp_path / "rest.mkv"
    tone = "aevalsrc='if(gt(t,4),0.5*sin(440*2*PI*t),0)':d=6:s=48000"
    pictures = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=6", "-f", "lavfi", "-i", tone]
    clips.ffmpeg(*pictures, "-c:v", "libx264", "-g", "50", "-c:a", "aac", str(whole))
    clips.ffmpeg("-i", str(whole), "-c", "copy", "-bsf:v", "noise=drop='lt(pts*tb,1.99)'", str(path))

    # When it is analysed
    found = analyse(path)

    # Then the clock begins with the audio, and the first frame that is left comes at its time
    assert found["source"]["duration_seconds"] == pytest.approx(6, abs=0.05)
    assert found["source"]["first_frame_seconds"] == pytest.approx(2, abs=0.05)
    assert found["audio"]["silences"] == [{"start_seconds": 0.0, "end_seconds": pytest.approx(4, abs=0.05)}]


def bars(width: int, height: int) -> Any:
    """How they look: drawn by ffmpeg without any coding."""
    raw = clips.raw_picture(BARS, width=width, height=height)
    return np.frombuffer(raw, np.uint8).reshape(height, width, 3)


def difference(one: Any, other: Any) -> float:
    """Mean over the frame, in levels, without the fine edges."""
    small = [cv2.resize(picture, (64, 36), interpolation=cv2.INTER_AREA).astype(float) for picture in (one, other)]
    return float(np.abs(small[0] - small[1]).mean())
