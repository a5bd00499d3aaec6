"""What rendering may cost: bounded before the work where that is certain, counted while it goes on, and stopped."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.models.clip_options import ClipOptions
from clipzy_storage.models.job_config import JobConfig
from clipzy_worker.analysis import rendering
from clipzy_worker.analysis.render_estimate import VideoClaim, estimate_of
from clipzy_worker.errors import InvalidMedia, MediaCrashed, RenderFailed, ResultTooLarge
from clipzy_worker.render.clips import render_clip
from clipzy_worker.sandbox.process import MediaLimits, MediaProcess, MediaRequest
from tests.sandbox.test_limits import analysed
from tests.support.media import analysis, clips

SECONDS, RATE, AREA = 3, 25, 320 * 180
ANALYSED_PIXELS = SECONDS * RATE * AREA


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing that can be compressed: some 3 MB in high quality."""
    path = tmp_path_factory.mktemp("noise") / "noise.mp4"
    graph = f"color=gray:size=320x180:rate={RATE}:duration={SECONDS},noise=alls=60:allf=t"
    clips.ffmpeg("-f", "lavfi", "-i", graph, "-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", str(path))
    return path


def job(ranges: list[tuple[float, float]], **options: Any) -> JobConfig:
    sections = [{"start_seconds": start, "end_seconds": end} for start, end in ranges]
    return JobConfig.model_validate({"sprites": False, "clips": {"ranges": sections, **options}})


@pytest.fixture
def request_for(noise: Path, tmp_path: Path) -> Callable[..., MediaRequest]:
    def make(config: JobConfig, **limits: int) -> MediaRequest:
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        return MediaRequest(noise, "mp4", out, config=config, decoder_threads=2, limits=MediaLimits(**limits))

    return make


@pytest.mark.parametrize(
    ("config", "pictures", "pixels"),
    [
        ({"clips": {"ranges": [{"start_seconds": 0, "end_seconds": 2}]}}, 20, 2 * 20 * 6400),
        ({"clips": {"ranges": [{"start_seconds": 0, "end_seconds": 2}] * 3}}, 60, 6 * 20 * 6400),
        ({"clips": {"ranges": [{"start_seconds": 9, "end_seconds": 99}]}}, 10, 2 * 10 * 6400),
        ({"clips": {"ranges": [{"start_seconds": 10, "end_seconds": 11}]}}, 0, 0),
        ({"clips": {"ranges": [{"start_seconds": 0, "end_seconds": 2}], "frame_rate": 100.0}}, 200, 220 * 6400),
        ({"clips": {"ranges": [{"start_seconds": 0, "end_seconds": 2}], "render": False}}, 0, 0),
        ({"clips": {}}, 0, 0),
        ({"render": {"shape": "1:1"}}, 100, 100 * (6400 + 128 * 128)),
    ],
    ids=["two seconds", "three clips", "past the end", "behind the end", "more pictures", "a list", "chosen", "all"],
)
def test_the_estimate_counts_what_is_sure(config: dict[str, Any], pictures: int, pixels: int) -> None:
    # Given a video of 10 s, 100 pictures of 100x64
    video = VideoClaim(10.0, 100, (100, 64))
    # When what rendering takes is estimated, Then what is decoded again and encoded is counted
    estimate = estimate_of(JobConfig.model_validate(config), video)
    assert estimate.pixels == pixels
    assert estimate.size_bytes == 25 * pictures


def test_the_estimated_bytes_are_less_than_those_of_a_video_of_one_colour(tmp_path: Path) -> None:
    path = tmp_path / "grey.mp4"
    clips.ffmpeg("-f", "lavfi", "-i", "color=gray:size=160x90:rate=25:duration=10", str(path))
    out = tmp_path / "out"
    out.mkdir()
    config = job([(0, 10)], quality="draft", long_side=240)
    analysis.analysed(MediaRequest(path, "mp4", out, config=config))
    estimate = estimate_of(config, VideoClaim(10.0, 250, (160, 90)))
    assert estimate.size_bytes < (out / "clips/00.mp4").stat().st_size < 3 * estimate.size_bytes


def test_too_much_to_render_is_refused_before_the_work(request_for: Callable[..., MediaRequest]) -> None:
    # Given a limit of what analysing takes, and rendering a second of it, decoded and encoded
    limit = ANALYSED_PIXELS + 2 * RATE * AREA
    # When two seconds are to be rendered, Then nothing is decoded; and one second is rendered
    request = request_for(job([(0, 2)]), max_decoded_pixels=limit)
    with pytest.raises(InvalidMedia, match=r"To analyse and to render .*MAX_VIDEO_TERAPIXELS"):
        analysis.analysed(request)
    assert list(request.out_directory.iterdir()) == []
    assert len(analysis.analysed(request_for(job([(0, 1)]), max_decoded_pixels=limit))["clips"]) == 1


def test_what_is_decoded_again_and_encoded_is_counted(noise: Path, tmp_path: Path) -> None:
    # Given a file that does not say how long it is
    path = tmp_path / "live.mkv"
    clips.ffmpeg("-i", str(noise), "-c", "copy", "-live", "1", str(path))
    request = MediaRequest(path, "mkv", tmp_path / "out", config=job([(0, 3)]))
    request.out_directory.mkdir()
    # When it is rendered with a limit that is enough for the analysis and half of that, Then the job ends
    limits = MediaLimits(max_decoded_pixels=2 * ANALYSED_PIXELS)
    with pytest.raises(InvalidMedia, match="terapixels"):
        analysis.analysed(replace(request, limits=limits))
    assert list((request.out_directory / "clips").iterdir()) == []


def test_a_clip_counts_into_the_result(request_for: Callable[..., MediaRequest]) -> None:
    with pytest.raises(ResultTooLarge, match="MAX_RESULT_MB"):
        analysed(request_for(job([(0, 3)], quality="high"), output_bytes=500_000))


def test_one_file_has_a_limit_of_its_own(request_for: Callable[..., MediaRequest]) -> None:
    with pytest.raises(MediaCrashed, match="too large a file"):
        analysed(request_for(job([(0, 3)], quality="high"), file_bytes=500_000))


def test_a_running_render_ends_with_its_parents_block(request_for: Callable[..., MediaRequest]) -> None:
    # Given a render of many clips that is going on
    with MediaProcess(request_for(job([(0, 3)] * 50, quality="high"))) as media:
        for _fraction in media.updates(poll_seconds=0.05):
            if media.stage == "rendering":
                break
        assert media.stage == "rendering"
        os.kill(media.pid, 0)
        # When its job is cancelled, which leaves the block
    # Then the process has ended, and nothing writes any more
    with pytest.raises(ProcessLookupError):
        os.kill(media.pid, 0)


def test_a_clip_that_fails_does_not_fail_the_others(
    request_for: Callable[..., MediaRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given that the second of three clips comes out wrong
    def rendered_but_for_one(footage: Any, number: int, *arguments: Any, **keywords: Any) -> Any:
        if number == 1:
            raise RenderFailed("It is not what was asked for.")
        return render_clip(footage, number, *arguments, **keywords)

    monkeypatch.setattr(rendering, "render_clip", rendered_but_for_one)
    # When the job runs, Then it completes, with two clips and a warning
    result = analysis.analysed(request_for(job([(0, 0.2), (1, 1.2), (2, 2.2)], quality="draft")))
    assert [len(clip["artifacts"]) for clip in result["clips"]] == [2, 0, 2]
    assert result["clips"][1]["warnings"] == ["It is not what was asked for."]
    assert result["warnings"] == ["Clip 1 could not be rendered. It is not what was asked for."]


def test_only_listing_writes_no_clip(request_for: Callable[..., MediaRequest]) -> None:
    request = request_for(job([(0, 1), (1, 2)], render=False))
    result = analysis.analysed(request)
    assert [(clip["start_frame"], clip["end_frame"], clip["width"]) for clip in result["clips"]] == [
        (0, 25, None),
        (25, 50, None),
    ]
    assert not (request.out_directory / "clips").exists()


def test_ranges_may_not_exceed_half_an_hour_together() -> None:
    half = {"start_seconds": 0, "end_seconds": 900}
    assert ClipOptions.model_validate({"ranges": [half, half]}).ranges
    with pytest.raises(ValueError, match="1800 seconds together"):
        ClipOptions.model_validate({"ranges": [half, half, {"start_seconds": 0, "end_seconds": 1}]})
