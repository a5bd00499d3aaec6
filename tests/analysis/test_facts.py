"""Facts about honest files, odd files and damaged files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from clipzy_storage.errors import StorageUnavailable
from clipzy_worker.errors import InvalidMedia
from tests.analysis.conftest import Analyse
from tests.support.media import clips
from tests.support.media.clips import Clip

Make = Callable[[Path], Clip]

HONEST: dict[str, Make] = {
    "H.264 and AAC": clips.cuts_clip,
    "NTSC": lambda directory: clips.cuts_clip(directory, rate="30000/1001"),
    "film in Matroska": lambda directory: clips.cuts_clip(directory, rate="24000/1001", suffix="mkv"),
    "no sound": lambda directory: clips.cuts_clip(directory, sound=False),
    "variable rate": clips.vfr_clip,
    "turned left": clips.rotated_clip,
    "turned right": lambda directory: clips.rotated_clip(directory, degrees=-90),
    "wide pixels": clips.wide_pixels_clip,
    "one frame": clips.one_frame_clip,
}


@pytest.mark.parametrize("name", HONEST)
def test_says_what_a_viewer_sees(name: str, clips_directory: Path, analyse: Analyse) -> None:
    # Given a clip of known size, rate and duration
    clip = HONEST[name](clips_directory)

    # When it is analysed
    result = analyse(clip.path)
    source = result["source"]

    # Then it is described as it is shown, and there is nothing to warn of
    assert (source["width"], source["height"]) == (clip.width, clip.height)
    assert source["frame_rate"] == pytest.approx(clip.frame_rate, abs=1e-6)
    assert source["duration_seconds"] == pytest.approx(clip.duration_seconds, abs=0.0015)
    assert result["warnings"] == []


@pytest.mark.parametrize(
    ("suffix", "codec", "sound", "expected"),
    [
        ("mp4", "libx264", True, ("h264", "aac")),
        ("mov", "libx264", False, ("h264", None)),
        ("mkv", "libx264", True, ("h264", "aac")),
        ("avi", "libx264", True, ("h264", "aac")),
        ("webm", "libvpx-vp9", True, ("vp9", "opus")),
    ],
)
def test_names_codecs(
    suffix: str, codec: str, sound: bool, expected: tuple[str, str | None], clips_directory: Path, analyse: Analyse
) -> None:
    # Given a clip in this container
    clip = clips.cuts_clip(clips_directory, suffix=suffix, codec=codec, sound=sound)

    # When it is analysed
    source = analyse(clip.path)["source"]

    # Then both are named in the usual words
    assert (source["video_codec"], source["audio_codec"]) == expected


def test_a_file_that_breaks_off_is_used_as_far_as_it_goes(clips_directory: Path, analyse: Analyse) -> None:
    # Given a file whose header promises more than there is
    clip = clips.truncated_clip(clips_directory)

    # When it is analysed
    result = analyse(clip.path)

    # Then its duration is that of the frames, and a warning says so
    assert 2.0 < result["source"]["duration_seconds"] < 3.5
    assert any("claims 4.00 seconds" in warning for warning in result["warnings"])


def test_a_file_without_a_duration_is_counted(clips_directory: Path, analyse: Analyse) -> None:
    # Given a stream that was written down
    clip = clips.endless_clip(clips_directory)

    # When it is analysed
    result = analyse(clip.path)

    # Then the frames say how long it is, and a warning says why
    assert result["source"]["duration_seconds"] == pytest.approx(clip.duration_seconds, abs=0.0015)
    assert any("does not declare a duration" in warning for warning in result["warnings"])


def test_audio_alone_is_no_video(clips_directory: Path, analyse: Analyse) -> None:
    # Given a file with nothing but audio
    clip = clips.audio_only_clip(clips_directory)

    # When it is analysed, Then its owner is told what is missing
    with pytest.raises(InvalidMedia, match="no video track"):
        analyse(clip.path)


def test_a_file_that_is_gone_is_not_called_damaged(tmp_path: Path, analyse: Analyse) -> None:
    # Given no file; When it is analysed, Then that is an error of the system and not the owner's
    with pytest.raises(StorageUnavailable):
        analyse(tmp_path / "gone.mp4")
