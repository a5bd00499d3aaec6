"""The clock of a player, in files whose tracks do not begin and end together, and rates that are only guessed."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.models.job_config import JobConfig
from clipzy_worker.decode.decoded_pixels import DecodedPixels
from clipzy_worker.decode.still import decoded_again
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaRequest
from tests.analysis.conftest import Analyse
from tests.support.media import timelines
from tests.support.media.analysis import analysed
from tests.support.media.clips import ffmpeg

STILL, FIVE_SECONDS = "testsrc2=size=320x180:rate=25,trim=end_frame=1", "testsrc2=size=320x180:rate=25:duration=5"


def without_audio(path: Path, out_directory: Path) -> dict[str, Any]:
    return analysed(MediaRequest(path, path.suffix[1:], out_directory, JobConfig(analyses=["motion", "color"])))


@pytest.mark.parametrize("pictures", [STILL, FIVE_SECONDS], ids=["one picture", "5 s of pictures"])
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi", "webm"])
def test_sound_goes_on_after_the_last_picture(suffix: str, pictures: str, tmp_path: Path, analyse: Analyse) -> None:
    # Given pictures that end long before 30 s of clicks
    path = timelines.pictures_and_clicks(tmp_path / f"song.{suffix}", pictures=pictures, sound_seconds=30)

    # When it is analysed
    found = analyse(path)

    # Then video and last shot are as long as the sound, of which nothing is left out
    assert found["source"]["duration_seconds"] == pytest.approx(30, abs=0.03)
    assert found["shots"][-1]["end_seconds"] == found["source"]["duration_seconds"]
    assert len(found["audio"]["beats"]) == 60
    assert found["audio"]["silences"] == found["warnings"] == []
    waveform, motion = (json.loads((tmp_path / name).read_text()) for name in ("waveform.json", "motion.json"))
    assert waveform["length"] == pytest.approx(3000, abs=3)
    assert len(motion["intensity"]) in (60, 61)
    # And the rate is that of the pictures, and the duration the same if the sound is not decoded
    assert found["source"]["frame_rate"] == pytest.approx(25, abs=0.001)
    assert without_audio(path, tmp_path)["source"]["duration_seconds"] == found["source"]["duration_seconds"]


@pytest.mark.parametrize("sound", [True, False], ids=["sound", "no sound"])
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_pictures_that_begin_late_are_shown_late(suffix: str, sound: bool, tmp_path: Path, analyse: Analyse) -> None:
    """Chromium shows the first one at 1.2 s in each of these."""
    # Given pictures from 1.2 s on
    path = timelines.late_pictures(tmp_path / f"late.{suffix}", seconds=1.2, sound=sound)

    # When it is analysed
    found = analyse(path)

    # Then the first shot begins there, and the sound before is kept
    assert found["source"]["first_frame_seconds"] == pytest.approx(1.2, abs=0.001)
    assert found["shots"][0]["start_seconds"] == found["source"]["first_frame_seconds"]
    assert found["source"]["duration_seconds"] == pytest.approx(5.2, abs=0.03)
    assert found["source"]["frame_rate"] == 25
    if sound:
        assert found["audio"]["silences"] == []


def test_a_part_of_a_stream_begins_at_0(tmp_path: Path, analyse: Analyse) -> None:
    # Given pictures and sound whose clock began a day before
    day = 24 * 3600
    path = tmp_path / "part.mkv"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=4", "-f", "lavfi", "-i", "sine=duration=4"),
        *("-output_ts_offset", str(day), *timelines.CODECS["mkv"], str(path)),
    )

    # When it is analysed
    found = analyse(path)

    # Then its clock begins with what there is
    assert found["source"]["first_frame_seconds"] == pytest.approx(0, abs=0.03)
    assert found["source"]["duration_seconds"] == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize(("rate", "tick_rate"), [(30, 1200), (25, 90_000), (24, 2000)])
def test_a_rate_that_is_guessed_is_no_claim(rate: int, tick_rate: int, tmp_path: Path, analyse: Analyse) -> None:
    # Given a file in which FFmpeg takes the unit of time for the duration of a frame
    path = timelines.without_frame_durations(tmp_path / "guess.mkv", tick_rate=tick_rate, rate=rate)

    # When it is analysed, Then its frames were counted
    source = analyse(path)["source"]
    assert (source["frame_rate"], source["duration_seconds"]) == (rate, pytest.approx(3, abs=0.002))


def test_slow_motion_has_some_frames_more(tmp_path: Path, analyse: Analyse) -> None:
    path = timelines.quick_pictures(tmp_path / "slow.mp4", rate="2407/10", seconds=3)
    assert analyse(path)["source"]["frame_rate"] == pytest.approx(240.7, abs=0.05)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_too_many_frames_are_refused_with_what_was_counted(suffix: str, tmp_path: Path, analyse: Analyse) -> None:
    path = timelines.quick_pictures(tmp_path / f"quick.{suffix}", rate="480", seconds=2)
    with pytest.raises(InvalidMedia, match=r"960 frames in 2\.00 seconds, 480 frames per second; at most 240"):
        analyse(path)


@pytest.mark.parametrize("sound", [False, True], ids=["no sound", "sound"])
@pytest.mark.parametrize(
    "coding",
    [("-c:v", "libx264"), ("-c:v", "libx264", "-bf", "0"), ("-c:v", "libx264", "-bf", "8", "-b_strategy", "0"),
     ("-c:v", "mpeg4", "-bf", "2", "-q:v", "3"), ("-c:v", "mpeg2video", "-bf", "2", "-q:v", "3")],
    ids=["H.264", "H.264 without B-frames", "H.264 with many", "MPEG-4", "MPEG-2"],
)  # fmt: skip
def test_frames_of_an_avi_take_the_places_of_its_packets(
    coding: tuple[str, ...], sound: bool, tmp_path: Path, analyse: Analyse
) -> None:
    # Given 58 pictures whose timestamps would go back
    path = timelines.numbered_pictures(tmp_path / "numbered.avi", *coding, sound=sound)

    # When it is analysed
    found = analyse(path)

    # Then each is at its place, the first at 0
    source = found["source"]
    assert (source["first_frame_seconds"], source["frame_rate"]) == (0, 30)
    assert source["duration_seconds"] == pytest.approx(58 / 30, abs=0.06 if sound else 0.001)
    assert [shot["start_seconds"] for shot in found["shots"]] == pytest.approx([0, 1], abs=0.001)


@pytest.mark.parametrize("frames", [5, 30])
def test_a_burst_at_the_start_delays_nothing(frames: int, tmp_path: Path, analyse: Analyse) -> None:
    source = analyse(timelines.burst_at_the_start(tmp_path / "burst.webm", frames=frames))["source"]
    assert (source["first_frame_seconds"], source["duration_seconds"]) == (0, pytest.approx(3.95, abs=0.05))


@pytest.mark.parametrize("coding", [("libx264",), ("mpeg4", "-bf", "2"), ("mpeg2video", "-bf", "2")])
def test_a_frame_of_an_avi_is_found_again(coding: tuple[str, ...], tmp_path: Path) -> None:
    # Given pictures that are white from 1 s on, with key frames in between
    path = timelines.numbered_pictures(tmp_path / "numbered.avi", "-c:v", *coding, "-g", "12")
    request = MediaRequest(path, "avi", tmp_path)

    # When the last that is not, the first that is, and the very last are decoded again
    found = [
        decoded_again(request, Fraction(frame, 30), (320, 180), decoded=DecodedPixels(10**9)) for frame in (29, 30, 57)
    ]

    # Then they are those
    assert [still is not None and still.min() > 200 for still in found] == [False, True, True]
