"""A completed job with clips and a rendered video, as a worker leaves one: real files of ffmpeg, and their index."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import requests

from clipzy_storage.backends.base import StorageBackend, put_bytes
from clipzy_storage.jobs.attempt import AttemptResult, JobAttempt
from clipzy_storage.models.clips import Clip, Edge, Edges, Reframe, Render, RenderedLoudness, ScorePart
from clipzy_storage.models.output import Artifact, ArtifactKind, Output, Shot, Source
from tests.support.jobs import attempt_at
from tests.support.media import clips
from tests.support.media.clips import ffmpeg
from tests.support.servers import FrontEnd

VTT = "WEBVTT\n\n00:00:00.200 --> 00:00:00.900\n(speech)\n\n00:00:01.100 --> 00:00:01.500\n(speech)\n"
SHOT_SECONDS = (0.0, 1.2, 3.0, 4.0)
NO_MOVE = 0.0

_PARTS = (("speech", 0.8, 0.5), ("energy", 0.6, 0.2), ("motion", 0.4, 0.2), ("picture", 0.5, 0.1))


@dataclass(frozen=True)
class _File:
    path: Path
    name: str
    kind: ArtifactKind
    content_type: str
    clip: int | None = None
    shot: int | None = None


def clipped(front_end: FrontEnd, directory: Path, storage: StorageBackend | None = None) -> dict[str, Any]:
    """A job on a video of 4 s: two chosen clips, the second one better, and one that was not rendered.

    ``storage`` is that of the front end, unless it is the local one that it is started with.
    """
    storage = storage or front_end.storage
    video = clips.cuts_clip(directory).path
    with video.open("rb") as file:
        job_id = requests.post(front_end.api + "/jobs", files={"file": ("talk.mp4", file)}, timeout=60).json()["job_id"]
    attempt = attempt_at(front_end.store, storage, job_id)
    files = _files(video, directory)
    index = _output(attempt, video, [_published(storage, attempt, file) for file in files]).to_json()
    put_bytes(storage, attempt.prefix + "output.json", index, content_type="application/json")
    assert attempt.commit(AttemptResult(attempt.job.attempt, attempt.prefix, index)) is not None
    job: dict[str, Any] = front_end.get(f"/api/v1/jobs/{job_id}").json()
    return job


def _files(video: Path, directory: Path) -> list[_File]:
    files = []
    for number, (start, end) in enumerate(((0.4, 2.4), (2.0, 4.0))):
        clip, poster, captions = (directory / f"page-{number}.{suffix}" for suffix in ("mp4", "jpg", "vtt"))
        ffmpeg("-ss", f"{start}", "-t", f"{end - start}", "-i", str(video), "-movflags", "+faststart", str(clip))
        ffmpeg("-i", str(clip), "-frames:v", "1", str(poster))
        captions.write_text(VTT)
        files += [
            _File(clip, f"clips/{number:02}.mp4", "clip", "video/mp4", number),
            _File(poster, f"clips/{number:02}.jpg", "clip_poster", "image/jpeg", number),
            _File(captions, f"clips/{number:02}.vtt", "clip_subtitles", "text/vtt", number),
        ]
    curve = directory / "page-motion.json"
    curve.write_text('{"step_seconds": 0.5, "intensity": [10, 20, 30, 40, 30, 20, 10, 0]}')
    files.append(_File(curve, "motion.json", "curves", "application/json"))
    still = directory / "page-0.jpg"
    files += [_File(still, f"shots/{number:04}.jpg", "thumbnail", "image/jpeg", shot=number) for number in range(3)]
    return [
        *files,
        _File(still, "poster.jpg", "poster", "image/jpeg"),
        _File(video, "output.mp4", "render", "video/mp4"),
    ]


def _published(storage: StorageBackend, attempt: JobAttempt, file: _File) -> Artifact:
    content, key = file.path.read_bytes(), attempt.prefix + file.name
    put_bytes(storage, key, content, content_type=file.content_type)
    return Artifact(
        name=file.name,
        key=key,
        kind=file.kind,
        content_type=file.content_type,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        clip=file.clip,
        shot=file.shot,
    )


def _output(attempt: JobAttempt, video: Path, artifacts: list[Artifact]) -> Output:
    edges = list(pairwise(SHOT_SECONDS))
    return Output(
        job_id=attempt.job.job_id,
        video_id=attempt.job.video_id,
        attempt=attempt.job.attempt,
        created_at=datetime.now(UTC).isoformat(),
        source=_source(video),
        shots=[
            Shot(index=index, start_seconds=start, end_seconds=end, transition="cut" if index else "start")
            for index, (start, end) in enumerate(edges)
        ],
        clips=[
            _clip(0, 2, (0.4, 2.4), artifacts, warnings=["The clip is shorter than was asked for."]),
            _clip(1, 1, (2.0, 4.0), artifacts),
            _clip(2, None, (3.0, 4.0), artifacts),
        ],
        render=_render(),
        artifacts=artifacts,
        timings={},
    )


def _source(video: Path) -> Source:
    content = video.read_bytes()
    return Source(
        filename="talk.mp4",
        container="mp4",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        duration_seconds=4,
        width=320,
        height=180,
        frame_rate=25,
        video_codec="h264",
        audio_codec="aac",
    )


def _clip(
    index: int,
    rank: int | None,
    section: tuple[float, float],
    artifacts: list[Artifact],
    warnings: list[str] | None = None,
) -> Clip:
    start, end = section
    names = [artifact.name for artifact in artifacts if artifact.clip == index]
    kinds = ("shot", "pause") if rank else ("asked", "end")
    rendered = {
        "reframe": Reframe(mode="none", subject=None, kept_percent=100),
        "width": 320,
        "height": 180,
        "frame_rate": 25,
        "loudness": RenderedLoudness(before_lufs=-21.5, gain_db=7.5, limited_db=0, after_lufs=-14.0),
    }
    parts = [_part(*part, share=0.9 if rank == 1 else 0.5) for part in _PARTS] if rank else []
    return Clip(
        index=index,
        rank=rank,
        start_seconds=start,
        end_seconds=end,
        start_frame=round(start * 25),
        end_frame=round(end * 25),
        duration_seconds=round(end - start, 6),
        shots=_shots(start, end),
        profile="talk" if rank else None,
        score=round(sum(part.points for part in parts), 6) if rank else None,
        parts=parts,
        edges=Edges(
            start=Edge.model_validate({"kind": kinds[0], "moved_seconds": NO_MOVE}),
            end=Edge.model_validate({"kind": kinds[1], "moved_seconds": NO_MOVE}),
        ),
        warnings=warnings or [],
        artifacts=names,
        **(rendered if names else {}),
    )


def _part(name: str, value: float, weight: float, *, share: float) -> ScorePart:
    points = round(100 * value * weight * share, 3)
    return ScorePart.model_validate(
        {"name": name, "value": round(value * share, 3), "weight": weight, "points": points}
    )


def _shots(start: float, end: float) -> tuple[int, int]:
    first = max(index for index, begins in enumerate(SHOT_SECONDS[:-1]) if begins <= start)
    return first, max(index for index, begins in enumerate(SHOT_SECONDS[:-1]) if begins < end)


def _render() -> Render:
    return Render(
        width=320,
        height=180,
        frame_rate=25,
        frames=100,
        duration_seconds=4,
        reframe=Reframe(mode="fit", subject=None, kept_percent=100),
        loudness=RenderedLoudness(before_lufs=-21.5, gain_db=5.5, limited_db=1.2, after_lufs=-16.0),
        video_codec="h264",
        warnings=[],
        artifacts=["output.mp4"],
    )
