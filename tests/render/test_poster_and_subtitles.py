"""What belongs to a clip besides its video: a poster, and subtitles for its speech."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from clipzy_storage.models.measurements import Span
from clipzy_worker.render.clip_poster import ClipPoster
from clipzy_worker.render.subtitles import write_speech_cues
from tests.render import synthetic


def test_the_poster_is_no_black_picture(tmp_path: Path) -> None:
    # Given a clip that begins and ends in black
    width, height = synthetic.SIZE
    black = np.concatenate((np.full((height, width), 16, np.uint8), np.full((height // 2, width), 128, np.uint8)))
    poster, path = ClipPoster(), tmp_path / "poster.jpg"
    for number in range(8):
        picture = synthetic.picture(0) if number == 5 else black
        frame = VideoFrame.from_ndarray(picture, format="yuv420p")
        poster.add(frame, number / 2, (number + 1) / 2)
    # When its poster is written, Then it shows what is in between
    poster.write(path)
    pixels = np.asarray(cv2.imread(str(path)))
    assert pixels.shape == (height, width, 3)
    assert pixels.mean() > 60


def test_a_black_clip_has_a_poster(tmp_path: Path) -> None:
    poster, path = ClipPoster(), tmp_path / "poster.jpg"
    black = VideoFrame.from_ndarray(np.full((36, 32), 16, np.uint8), format="yuv420p")
    poster.add(black, 0.0, 1.0)
    poster.write(path)
    assert path.exists()


@pytest.mark.parametrize(
    ("speech", "cues"),
    [
        ([(12.5, 14.25)], ["00:00:02.500 --> 00:00:04.250"]),
        ([(8, 11), (19.5, 30)], ["00:00:00.000 --> 00:00:01.000", "00:00:09.500 --> 00:00:10.000"]),
        ([(5, 25)], ["00:00:00.000 --> 00:00:10.000"]),
        ([(0, 10), (20, 30)], []),
    ],
    ids=["within", "across the edges", "all of it", "outside"],
)
def test_subtitles_have_the_speech_of_the_clip_on_its_own_clock(
    speech: list[tuple[float, float]], cues: list[str], tmp_path: Path
) -> None:
    # Given speech at some times of the video, When the subtitles of the clip from 10 to 20 s are written
    path = tmp_path / "clip.vtt"
    spans = [Span(start_seconds=start, end_seconds=end) for start, end in speech]
    is_written = write_speech_cues(path, spans, start_seconds=10, end_seconds=20)
    # Then each cue is within the clip, and without any there is no file
    assert is_written == path.exists() == bool(cues)
    text = path.read_text() if is_written else "WEBVTT\n"
    assert text.startswith("WEBVTT\n")
    assert [line for line in text.splitlines() if "-->" in line] == cues
