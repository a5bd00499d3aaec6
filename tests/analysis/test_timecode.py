"""The timecode with which a recording begins, as cameras and recorders write it."""

from pathlib import Path

import pytest

from tests.analysis.conftest import Analyse
from tests.support.media.clips import ffmpeg


def recording(path: Path, *options: str, rate: str = "25") -> Path:
    ffmpeg("-f", "lavfi", "-i", f"testsrc=size=64x36:rate={rate}:duration=0.4", "-c:v", "libx264", *options, str(path))
    return path


@pytest.mark.parametrize(
    ("suffix", "rate", "timecode"),
    [("mov", "30000/1001", "18:03:22;05"), ("mp4", "24000/1001", "23:59:59:20"), ("mkv", "25", "01:02:03:04")],
)
def test_the_timecode_of_the_first_frame_is_kept(
    suffix: str, rate: str, timecode: str, tmp_path: Path, analyse: Analyse
) -> None:
    # Given a recording with a timecode track, or a tag in Matroska
    path = recording(tmp_path / f"camera.{suffix}", "-timecode", timecode, rate=rate)

    # When it is analysed, Then the result has it
    assert analyse(path)["source"]["timecode"] == timecode


@pytest.mark.parametrize("tag", [None, "25:61:00:00", "00:00:00:25", "00:00:00;00", "next to the door"])
def test_what_is_no_timecode_of_the_video_is_none(tag: str | None, tmp_path: Path, analyse: Analyse) -> None:
    # Given a video without a timecode, or with a tag that no frame of 25 frames per second can have
    path = recording(tmp_path / "tagged.mkv", *(["-metadata", f"TIMECODE={tag}"] if tag else []))

    # When it is analysed, Then it has none, and nothing is wrong with it
    result = analyse(path)
    assert (result["source"]["timecode"], result["warnings"]) == (None, [])
