"""A rendered file that is not what was asked for is found out, whatever the difference."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipzy_worker.errors import RenderFailed
from clipzy_worker.render.mp4_writer import Written
from clipzy_worker.render.verification import verify
from clipzy_worker.sandbox.request import MediaRequest
from tests.render import synthetic
from tests.support.media import clips

PICTURES = 70


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("verified")


@pytest.fixture(scope="module")
def path(directory: Path) -> Path:
    return directory / "file.mp4"


@pytest.fixture(scope="module")
def written(path: Path) -> Written:
    return synthetic.write(path, synthetic.video_format(), [1] * PICTURES)


def check(path: Path, written: Written) -> None:
    verify(path, written, MediaRequest(path, "mp4", path.parent))


def test_what_was_written_is_accepted(path: Path, written: Written) -> None:
    check(path, written)


def test_a_first_picture_that_is_shown_for_long_is_accepted(tmp_path: Path) -> None:
    """Decoding then begins so early that FFmpeg takes the second key frame for later than it is."""
    path = tmp_path / "file.mp4"
    check(path, synthetic.write(path, synthetic.video_format(is_variable=True), [90_000] * 2 + [1000] * 68))


@pytest.mark.parametrize(
    "change",
    [
        lambda written: replace(written, pictures=PICTURES + 1),
        lambda written: replace(written, pictures=PICTURES - 1),
        lambda written: replace(written, samples=written.samples + 1),
        lambda written: replace(written, samples=written.samples - 1),
        lambda written: replace(written, end_seconds=written.end_seconds + 1 / synthetic.NTSC),
        lambda written: replace(written, first=np.roll(written.first, 4, axis=1)),
        lambda written: replace(written, last=np.roll(written.last, 4, axis=1)),
        lambda written: replace(written, size=(synthetic.SIZE[0] + 2, synthetic.SIZE[1])),
        lambda written: replace(written, codec="hevc"),
        lambda written: replace(written, has_sound=False),
    ],
    ids=[
        *("a picture more", "a picture less", "a sample more", "a sample less", "another end"),
        *("another first picture", "another last picture", "another size", "another codec", "no sound"),
    ],
)
def test_a_difference_is_refused(path: Path, written: Written, change: Callable[[Written], Written]) -> None:
    with pytest.raises(RenderFailed):
        check(path, change(written))


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "copy", "-movie_timescale", "48000"],
        ["-c", "copy", "-movflags", "+faststart", "-use_editlist", "0"],
        ["-c:v", "libx264", "-color_primaries", "bt470bg", "-c:a", "copy"],
        ["-c:v", "libx264", "-vf", "setsar=2", "-c:a", "copy"],
        ["-c:v", "libx264", "-vf", "format=yuv444p", "-c:a", "copy"],
    ],
    ids=["header at the end", "no edit list", "other colours", "pixels that are not square", "other chroma"],
)
def test_a_file_of_another_form_is_refused(path: Path, written: Written, tmp_path: Path, arguments: list[str]) -> None:
    other = tmp_path / "other.mp4"
    form = [] if "-movflags" in arguments or arguments[1] == "copy" else ["-movflags", "+faststart"]
    clips.ffmpeg("-i", str(path), *arguments, *form, str(other))
    with pytest.raises(RenderFailed):
        check(other, written)


def test_a_truncated_file_is_refused(path: Path, written: Written, tmp_path: Path) -> None:
    part = tmp_path / "part.mp4"
    data = path.read_bytes()
    part.write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(RenderFailed):
        check(part, written)
