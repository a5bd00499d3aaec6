"""Leaving out the loop filter of some frames shows neither in stills nor in the grade, however far key frames are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from clipzy_storage.models.job_config import JobConfig, ThumbnailOptions
from clipzy_worker.sandbox.request import MediaRequest
from tests.support.media import clips
from tests.support.media.analysis import analysed

BUNNY = Path(__file__).parents[1] / "footage/bunny.mp4"
MIN_LIKENESS_DB = 38.0
MAX_GRADE_DIFFERENCE = 1.0
GRADES = ("brightness", "temperature", "tint", "saturation", "contrast", "highlights", "shadows")


@dataclass(frozen=True)
class Coding:
    suffix: str
    options: tuple[str, ...]


ONE_KEY = ("-g", "100000", "-keyint_min", "100000")
X264 = ("libx264", "-preset", "medium")
X265 = ("libx265", "-preset", "ultrafast", "-x265-params")
VP9 = ("libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")
CODINGS = {
    "H.264, near key frames, high quality": Coding("mp4", (*X264, "-crf", "16", "-g", "25")),
    "H.264, near key frames, low quality": Coding("mp4", (*X264, "-crf", "36", "-g", "25")),
    "H.264, far key frames, high quality": Coding("mp4", (*X264, "-crf", "18", "-g", "150")),
    "H.264, one key frame, low quality": Coding(
        "mp4", (*X264, "-crf", "36", *ONE_KEY, "-sc_threshold", "0", "-bf", "0")
    ),
    "H.264 without an index": Coding(
        "mp4", (*X264, "-crf", "18", "-g", "25", "-movflags", "+frag_keyframe+empty_moov")
    ),
    "HEVC, near key frames, high quality": Coding("mp4", (*X265, "log-level=error:crf=14:keyint=25")),
    "HEVC, one key frame, low quality": Coding("mp4", (*X265, "log-level=error:crf=36:keyint=-1:scenecut=0")),
    "VP8, one key frame": Coding("webm", ("libvpx", "-deadline", "realtime", "-b:v", "250k", *ONE_KEY)),
    "VP8, near key frames": Coding("webm", ("libvpx", "-deadline", "realtime", "-b:v", "2M", "-g", "25")),
    "VP9, one key frame": Coding("webm", (*VP9, "-b:v", "150k", *ONE_KEY)),
    "AV1, one key frame": Coding("mp4", ("libsvtav1", "-preset", "12", "-crf", "50", "-g", "-1")),
}
SHORT = {
    "H.264, one key frame, low quality",
    "HEVC, one key frame, low quality",
    "VP9, one key frame",
    "AV1, one key frame",
}
"""Of each decoder that with the most to pass on, from frame to frame."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in SHORT else pytest.mark.long) for name in CODINGS]
)
def test_a_missing_loop_filter_is_not_seen(name: str, tmp_path: Path) -> None:
    # Given footage that is repeated and coded in this way, and what ffmpeg decodes of that, kept without loss
    coding = CODINGS[name]
    coded, right = tmp_path / f"coded.{coding.suffix}", tmp_path / "right.mkv"
    scaled = ("-an", "-t", "9.9", "-vf", "scale=480:-2,format=yuv420p")
    clips.ffmpeg("-stream_loop", "2", "-i", str(BUNNY), *scaled, "-c:v", *coding.options, str(coded))
    clips.ffmpeg("-copyts", "-i", str(coded), "-fps_mode", "passthrough", "-c:v", "ffv1", str(right))

    # When both are analysed
    (ours, ours_in), (theirs, theirs_in) = (_analysed(path, tmp_path / path.stem) for path in (coded, right))

    # Then stills are alike, and so are the grades of all shots
    names = [one["file"] for one in theirs["artifacts"] if one["kind"] in ("thumbnail", "sprite")]
    assert names == [one["file"] for one in ours["artifacts"] if one["kind"] in ("thumbnail", "sprite")]
    assert min(_likeness_db(ours_in / name, theirs_in / name) for name in names) >= MIN_LIKENESS_DB
    begins = [shot["start_seconds"] for shot in theirs["shots"]]
    assert [shot["start_seconds"] for shot in ours["shots"]] == pytest.approx(begins, abs=0.001)  # Matroska's tick
    for one, other in zip([ours, *ours["shots"]], [theirs, *theirs["shots"]], strict=True):
        differences = [abs(one["color"][grade] - other["color"][grade]) for grade in GRADES]
        assert max(differences) <= MAX_GRADE_DIFFERENCE


def _request(path: Path, out_directory: Path) -> MediaRequest:
    config = JobConfig(thumbnails=ThumbnailOptions(per="interval", interval_seconds=0.7))
    return MediaRequest(path, path.suffix[1:], out_directory, config=config)


def _analysed(path: Path, out_directory: Path) -> tuple[dict[str, Any], Path]:
    out_directory.mkdir()
    return analysed(_request(path, out_directory)), out_directory


def _likeness_db(one: Path, other: Path) -> float:
    a, b = (np.asarray(cv2.imread(str(path)), dtype=np.float64) for path in (one, other))
    return float(10 * np.log10(255**2 / max(np.square(a - b).mean(), 1e-9)))
