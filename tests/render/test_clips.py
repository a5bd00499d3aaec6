"""Clips that a media process cuts: every picture is the asked one, and so is every sample of the sound."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from clipzy_storage.models.analysis import Analysis
from clipzy_storage.models.job_config import JobConfig
from clipzy_worker.sandbox.request import MediaRequest
from tests.sandbox.test_limits import analysed
from tests.support.media import clips
from tests.support.media.rendered_files import Grey, boxes_of, lag_of, pictures_of, psnr_db, sound_of

SECONDS = 4
# Neighbours differ by much everywhere, and the matrix is the one that is rendered.
_MOVING = "testsrc2=size={size}:rate={rate}:duration={seconds},scroll=horizontal=0.021"
_TAGS = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
_NOISE = ["-f", "lavfi", "-i", f"anoisesrc=color=pink:seed=3:amplitude=0.4:duration={SECONDS}:sample_rate=48000"]
_GOP = ["-g", "50", "-c:v", "libx264", "-preset", "veryfast", "-crf", "14"]

# From the start, from within a group of pictures, up to the last frame, of one frame.
RANGES = [(0.0, 0.5), (1.234, 2.345), (3.3, 9.0), (2.05, 2.06)]


@dataclass(frozen=True)
class Kind:
    suffix: str
    rate: str = "25"
    size: tuple[int, int] = (320, 180)
    filters: str = "null"
    arguments: tuple[str, ...] = ("-c:a", "aac", "-b:a", "192k")
    frame_rate: str | float = "constant"
    """Of the clips."""


KINDS = {
    "25 mp4": Kind("mp4"),
    "29.97 mkv": Kind("mkv", "30000/1001", arguments=("-c:a", "libopus")),
    "kept stamps": Kind("mkv", "30", filters="select='mod(n,5)*mod(n,7)'", frame_rate="source"),
}
LONG_KINDS = {
    "24 mov": Kind("mov", "24", arguments=("-c:a", "pcm_s16le")),
    "23.976 mp4": Kind("mp4", "24000/1001", arguments=("-c:a", "libmp3lame")),
    "50 avi": Kind("avi", "50", arguments=("-c:a", "pcm_s16le", "-bf", "2")),
    "59.94 mp4": Kind("mp4", "60000/1001"),
    "60 mkv": Kind("mkv", "60", arguments=("-c:a", "flac")),
    "MPEG-4": Kind("mp4", arguments=("-c:v", "mpeg4", "-q:v", "2", "-bf", "2", "-c:a", "aac")),
    "an open GOP": Kind("mp4", arguments=("-x264-params", "open-gop=1", "-c:a", "aac")),
}
EVERY_KIND = [*KINDS, *(pytest.param(name, marks=pytest.mark.long) for name in LONG_KINDS)]


@dataclass(frozen=True)
class Cut:
    """A source, and the clips of ``RANGES`` that were cut from it."""

    source: Path
    size: tuple[int, int]
    out: Path
    analysis: Analysis

    def path(self, number: int) -> Path:
        return self.out / f"clips/{number:02}.mp4"

    @cached_property
    def pictures(self) -> Grey:
        """Of the source."""
        return pictures_of(self.source, size=self.size)


def make_source(directory: Path, kind: Kind) -> Path:
    graph = _MOVING.format(size=f"{kind.size[0]}x{kind.size[1]}", rate=kind.rate, seconds=SECONDS)
    path = directory / f"source.{kind.suffix}"
    filters = ["-vf", f"{kind.filters},{_TAGS}", "-fps_mode", "vfr"]
    coded = ["-pix_fmt", "yuv420p", *_GOP, *kind.arguments]
    clips.ffmpeg("-f", "lavfi", "-i", graph, *_NOISE, *filters, *coded, "-shortest", str(path))
    return path


def cut_clips(source: Path, out: Path, options: dict[str, Any], *, size: tuple[int, int] = (320, 180)) -> Cut:
    ranges = [{"start_seconds": start, "end_seconds": end} for start, end in RANGES]
    config = JobConfig.model_validate({"clips": {"ranges": ranges, **options}, "sprites": False})
    request = MediaRequest(source, source.suffix[1:], out, config=config, decoder_threads=2)
    return Cut(source, size, out, analysed(request))


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Cut]:
    @cache
    def cut_once(name: str) -> Cut:
        kind = (KINDS | LONG_KINDS)[name]
        directory = tmp_path_factory.mktemp("clips")
        source = make_source(directory, kind)
        return cut_clips(source, directory / "out", {"frame_rate": kind.frame_rate}, size=kind.size)

    return cut_once


@pytest.mark.parametrize("name", EVERY_KIND)
def test_every_picture_is_the_asked_one(cut: Callable[[str], Cut], name: str) -> None:
    # Given clips from the start, from the middle, to the end, and of one picture
    found = cut(name)
    assert len(found.analysis.clips) == len(RANGES)
    for clip in found.analysis.clips:
        # When a clip is decoded, Then it has the frames of the source that it lists, and none looks like a neighbour
        rendered = pictures_of(found.path(clip.index), size=found.size)
        assert len(rendered) == clip.end_frame - clip.start_frame
        for offset, picture in enumerate(rendered):
            number = clip.start_frame + offset
            same = psnr_db(picture, found.pictures[number])
            neighbours = [n for n in (number - 1, number + 1) if 0 <= n < len(found.pictures)]
            assert same > 30
            assert all(same > psnr_db(picture, found.pictures[neighbour]) + 10 for neighbour in neighbours)


@pytest.mark.parametrize("name", EVERY_KIND)
def test_the_sound_is_that_of_the_same_time(cut: Callable[[str], Cut], name: str) -> None:
    found = cut(name)
    whole = sound_of(found.source)
    for clip in found.analysis.clips:
        # Given a clip of some length, When its sound is compared with that of the source from its beginning on
        sound = sound_of(found.path(clip.index))
        start, end = round(clip.start_seconds * 48_000), round(clip.end_seconds * 48_000)
        # Then it has as many samples, and is neither early nor late by one
        assert sound.shape[1] == end - start
        if clip.duration_seconds > 0.3:
            assert abs(lag_of(sound, whole[:, start:end])) <= 1


def test_sections_reach_out_to_whole_frames_and_end_with_the_video(cut: Callable[[str], Cut]) -> None:
    # Given the ranges on a video of 25 frames a second, in the order of their beginnings
    listed = cut("25 mp4").analysis.clips
    assert [(clip.start_frame, clip.end_frame) for clip in listed] == [(0, 13), (30, 59), (51, 52), (82, 100)]
    # Then each edge tells how far it was moved, and what cannot be shown is said
    edges = listed[1].edges
    assert (edges.start.moved_seconds, edges.end.moved_seconds) == pytest.approx((-0.034, 0.015))
    assert [edges.start.kind, edges.end.kind] == ["asked", "asked"]
    assert [listed[0].edges.start.kind, listed[3].edges.end.kind] == ["end", "end"]
    assert [len(clip.warnings) for clip in listed] == [0, 0, 0, 1]
    assert "5.000 seconds before" in listed[3].warnings[0]


def test_kept_stamps_are_those_of_the_source(cut: Callable[[str], Cut]) -> None:
    found = cut("kept stamps")
    begins = stamps_of(found.source)
    for clip in found.analysis.clips:
        rendered = stamps_of(found.path(clip.index))
        expected = begins[clip.start_frame : clip.end_frame]
        assert rendered == pytest.approx([at - expected[0] for at in expected], abs=1e-4)
        assert clip.frame_rate is None


def stamps_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        tick = float(video.time_base or 0)
        return sorted((packet.pts or 0) * tick for packet in container.demux(video) if packet.size)


@pytest.mark.parametrize(("frame_rate", "pictures"), [("constant", 62), ("source", 25)])
def test_sound_that_goes_on_after_the_last_frame_is_not_lost(tmp_path: Path, frame_rate: str, pictures: int) -> None:
    # Given a second of video with two and a half seconds of sound
    source, tone = tmp_path / "source.mkv", ["-f", "lavfi", "-i", "anoisesrc=duration=2.5:sample_rate=48000"]
    clips.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64:duration=1:rate=25", *tone, "-c:a", "flac", str(source))
    # When all of it is asked for
    config = {"clips": {"ranges": [{"start_seconds": 0, "end_seconds": 9}], "frame_rate": frame_rate}}
    request = MediaRequest(source, "mkv", tmp_path / "out", config=JobConfig.model_validate(config))
    (clip,) = analysed(request).clips
    # Then the last frame is shown until the sound ends, as players do
    assert clip.end_seconds == pytest.approx(2.5, abs=0.01)
    assert len(pictures_of(tmp_path / "out/clips/00.mp4", size=(64, 64))) == pictures
    assert sound_of(tmp_path / "out/clips/00.mp4").shape[1] == pytest.approx(2.5 * 48_000, abs=480)


def test_a_clip_has_a_file_that_plays_a_poster_and_says_so(cut: Callable[[str], Cut]) -> None:
    found = cut("25 mp4")
    assert [kind for kind in boxes_of(found.path(1)) if kind != "free"] == ["ftyp", "moov", "mdat"]
    listed = [(one.file, one.kind, one.clip) for one in found.analysis.artifacts if one.clip == 1]
    assert listed == [("clips/01.mp4", "clip", 1), ("clips/01.jpg", "clip_poster", 1)]
    assert found.analysis.clips[1].artifacts == ["clips/01.mp4", "clips/01.jpg"]
    poster = cv2.imread(str(found.out / "clips/01.jpg"), cv2.IMREAD_GRAYSCALE)
    likeness = [psnr_db(np.asarray(poster), expanded(one)) for one in found.pictures]
    assert 30 <= int(np.argmax(likeness)) < 59
    assert {"rendering", "video_analysis"} <= found.analysis.timings.keys()


def expanded(luma: Grey) -> Grey:
    """Limited range to full range."""
    return np.asarray(np.clip((luma.astype(np.float32) - 16) * 255 / 219, 0, 255), np.uint8)
