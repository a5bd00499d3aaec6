"""Clips that are chosen and only listed, of a file."""

from pathlib import Path
from typing import Any

from clipzy_storage.models.job_config import JobConfig
from clipzy_worker.sandbox.request import MediaRequest
from tests.support.media import clips
from tests.support.media.analysis import analysed

LISTED = {"count": 2, "min_seconds": 1, "max_seconds": 1.5, "render": False}


def _listed(path: Path, out_directory: Path, **config: Any) -> list[dict[str, Any]]:
    plain = {"thumbnails": {"per": "none"}, "sprites": False, "clips": LISTED}
    request = MediaRequest(path, "mp4", out_directory, JobConfig.model_validate({**plain, **config}))
    found = analysed(request)["clips"]
    assert isinstance(found, list)
    return found


def test_clips_are_listed_without_a_file(tmp_path: Path) -> None:
    # Given a video of three shots
    video = clips.cuts_clip(tmp_path, shot_frames=(30, 30, 30))

    # When the best two sections of it are asked for, with nothing measured but shots and pictures, and with sound
    seen = _listed(video.path, tmp_path, analyses=[])
    heard = _listed(video.path, tmp_path, analyses=["audio"])

    # Then they are shots, to the frame, with the parts that could be measured
    for found, names in (
        (seen, ["novelty", "picture"]),
        (heard, ["speech", "energy", "surprise", "novelty", "picture"]),
    ):
        assert {(clip["start_frame"], clip["end_frame"]) for clip in found} < {(0, 30), (30, 60), (60, 90)}
        assert [clip["index"] for clip in found] == [0, 1]
        assert {clip["rank"] for clip in found} == {1, 2}
        for clip in found:
            assert [part["name"] for part in clip["parts"]] == names
            assert sum(part["points"] for part in clip["parts"]) == clip["score"] > 0
            assert clip["profile"] == "action"
            assert {edge["kind"] for edge in clip["edges"].values()} <= {"shot", "end"}
            assert clip["artifacts"] == []
    # And no file was made of them, and once more it is the same
    assert not (tmp_path / "clips").exists()
    assert _listed(video.path, tmp_path, analyses=[]) == seen
