"""Which tracks are analysed, and what is said about the others."""

from pathlib import Path
from typing import Any

import pytest

from clipzy_worker.errors import InvalidMedia
from tests.analysis.conftest import Analyse
from tests.support.media import clips, tracks
from tests.support.media.tracks import Audio

SINE_LUFS = -21.0


def loudness(found: dict[str, Any]) -> float | None:
    audio = found["audio"]
    return None if audio is None else audio["integrated_lufs"]


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_the_default_track_is_analysed(suffix: str, tmp_path: Path, analyse: Analyse) -> None:
    # Given silence, and a tone that is the default
    path = tracks.with_audio(tmp_path / f"a.{suffix}", Audio("silence", "ac3"), Audio("tone", "aac", is_default=True))

    # When it is analysed
    found = analyse(path)

    # Then the tone was measured, and both facts are told
    assert loudness(found) == pytest.approx(SINE_LUFS, abs=1)
    assert found["source"]["audio_codec"] == "aac"
    assert found["warnings"] == [
        "The file has 2 audio tracks; track 2 was analysed, its default one.",
        "There seems to be no sound in audio track 1, which was not analysed.",
    ]


@pytest.mark.parametrize("suffix", ["mkv", "avi"])
def test_without_a_default_the_first_is(suffix: str, tmp_path: Path, analyse: Analyse) -> None:
    path = tracks.with_audio(tmp_path / f"a.{suffix}", Audio("tone", "ac3"), Audio("tone", "mp2"))
    found = analyse(path)
    assert found["source"]["audio_codec"] == "ac3"
    assert found["warnings"] == ["The file has 2 audio tracks; track 1 was analysed, the first."]


@pytest.mark.parametrize("is_default", [True, False])
def test_a_track_that_cannot_be_decoded_is_passed_over(is_default: bool, tmp_path: Path, analyse: Analyse) -> None:
    # Given TrueHD, which is not accepted, and AC-3, as on a Blu-ray
    path = tracks.with_audio(tmp_path / "a.mkv", Audio("tone", "truehd", is_default=is_default), Audio("tone", "ac3"))

    # When it is analysed, Then the codec is that of what was measured
    found = analyse(path)
    assert found["source"]["audio_codec"] == "ac3"
    assert loudness(found) == pytest.approx(SINE_LUFS, abs=1)
    assert found["warnings"] == ["The file has 2 audio tracks; track 2 was analysed, the first that can be decoded."]


def test_a_codec_that_is_not_accepted_is_named(tmp_path: Path, analyse: Analyse) -> None:
    found = analyse(tracks.with_audio(tmp_path / "a.mkv", Audio("tone", "truehd")))
    assert found["audio"] is None
    assert found["source"]["audio_codec"] == "truehd"
    assert found["warnings"] == ["The audio is encoded as truehd, which is not accepted; it was skipped."]


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "truehd"), ("mp4", "libopus")])
def test_audio_that_cannot_be_decoded_lasts_as_long_as_other_audio(
    suffix: str, codec: str, tmp_path: Path, analyse: Analyse
) -> None:
    # Given 3 s of audio of a codec that is not accepted, or that nobody knows, and 1 s of video
    path = tracks.with_audio(tmp_path / f"a.{suffix}", Audio("tone", codec), video_seconds=1)
    if suffix == "mp4":
        path.write_bytes(path.read_bytes().replace(b"Opus", b"zzzz"))

    # When it is analysed
    found = analyse(path)

    # Then the video lasts to its end, as a player says
    assert found["audio"] is None
    assert found["source"]["duration_seconds"] == pytest.approx(3, abs=0.05)
    assert found["shots"][-1]["end_seconds"] == found["source"]["duration_seconds"]


@pytest.mark.parametrize("sound", ["tone", "late"])
@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "flac"), ("mp4", "aac"), ("webm", "libopus"), ("avi", "mp2")])
def test_a_silent_track_beside_one_with_sound(
    suffix: str, codec: str, sound: str, tmp_path: Path, analyse: Analyse
) -> None:
    # Given a silent track, one like it, and one with sound, which may begin late
    if suffix == "webm":
        source = tracks.with_audio(
            tmp_path / "a.mkv", Audio("silence", codec), Audio("silence", codec), Audio(sound, codec), seconds=12
        )
        path = tmp_path / "a.webm"
        clips.ffmpeg("-i", str(source), "-map", "0", *clips.QUICK_VP8, "-c:a", "copy", str(path))
    else:
        path = tracks.with_audio(
            tmp_path / f"a.{suffix}", Audio("silence", codec), Audio("silence", codec), Audio(sound, codec), seconds=12
        )

    # When it is analysed, Then its owner is told where the sound is
    warning = "Audio track 1, which was analysed, is silent; there is sound in track 3."
    assert warning in analyse(path)["warnings"]


def test_silence_alone_is_no_irregularity(tmp_path: Path, analyse: Analyse) -> None:
    path = tracks.with_audio(tmp_path / "a.mkv", Audio("silence"), Audio("silence"))
    assert analyse(path)["warnings"] == ["The file has 2 audio tracks; track 1 was analysed, the first."]


@pytest.mark.parametrize(("default", "number"), [(None, 1), (0, 1), (1, 2)])
def test_the_default_video_track_is_analysed(
    default: int | None, number: int, tmp_path: Path, analyse: Analyse
) -> None:
    # Given two video tracks of different width
    path = tracks.with_videos(tmp_path / "two.mkv", "red", "blue", default=default)

    # When it is analysed, Then it is the default one, else the first
    found = analyse(path)
    assert found["source"]["width"] == (160, 176)[number - 1]
    why = "the first" if default is None else "its default one"
    assert found["warnings"] == [f"The file has 2 video tracks; track {number} was analysed, {why}."]


def test_a_video_track_that_cannot_be_decoded_is_passed_over(tmp_path: Path, analyse: Analyse) -> None:
    path = tracks.with_videos(tmp_path / "two.mkv", "red", "blue", codecs=("magicyuv", "libx264"))
    assert analyse(path)["source"]["video_codec"] == "h264"


@pytest.mark.parametrize("options", [(), ("-movflags", "+frag_keyframe+empty_moov")])
def test_an_encrypted_mp4_is_protected_and_not_damaged(
    options: tuple[str, ...], tmp_path: Path, analyse: Analyse
) -> None:
    path = tracks.encrypted_mp4(tmp_path / "a.mp4", *options)
    with pytest.raises(InvalidMedia, match=r"^The video is protected \(encrypted\)"):
        analyse(path)


def test_an_encrypted_matroska_file_is_protected_and_not_damaged(tmp_path: Path, analyse: Analyse) -> None:
    path = tracks.encrypted_matroska(tmp_path / "a.mkv")
    with pytest.raises(InvalidMedia, match=r"^The video is protected \(encrypted\)"):
        analyse(path)


def test_encrypted_audio_is_skipped_and_the_warning_says_so(tmp_path: Path, analyse: Analyse) -> None:
    # Given a video in the clear whose audio is encrypted
    path = tracks.with_encrypted_audio(tmp_path / "a.mp4")

    # When it is analysed
    found = analyse(path)

    # Then its audio is not decoded to noise
    assert found["audio"] is None
    assert (
        "The audio is protected (encrypted), and cannot be decoded without its key. It was skipped."
        in (found["warnings"])
    )
