"""Writes an attempt's files into storage, where nobody looks before the attempt is committed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipzy_storage.backends.base import READ_BLOCK_BYTES, Storage, put_bytes
from clipzy_storage.failpoints import failpoint
from clipzy_storage.models.output import Artifact, Output
from clipzy_storage.models.records import Job, rfc3339


def store_attempt(
    storage: Storage,
    job: Job,
    folder: Path,
    *,
    prefix: str,
    analysis: dict[str, Any],
    on_progress: Callable[[], object] = lambda: None,
) -> bytes:
    """Write an attempt's artifacts and its ``output.json`` under ``prefix``. Returns that index.

    ``analysis`` is what the stages found; its artifacts name files in ``folder``. ``on_progress`` is called again and
    again, and may raise to end it.
    """
    artifacts = []
    for about in analysis["artifacts"]:
        artifacts.append(_store_artifact(storage, folder, prefix, about, on_progress))
        failpoint("artifact-stored")
    output = Output(
        job_id=job.job_id,
        video_id=job.video_id,
        attempt=job.attempt,
        created_at=str(rfc3339(job.created_at)),
        source={
            "filename": job.filename,
            "size_bytes": job.source_size_bytes,
            "sha256": job.source_sha256,
            **analysis["source"],
        },
        shots=analysis["shots"],
        **{part: analysis.get(part) for part in ("audio", "motion", "color")},
        style=_dated(analysis.get("style"), job),
        artifacts=artifacts,
        warnings=analysis.get("warnings", []),
        timings=analysis["timings"],
    ).to_json()
    put_bytes(storage, prefix + "output.json", output, content_type="application/json")
    return output


def _dated(style: dict[str, Any] | None, job: Job) -> dict[str, Any] | None:
    return style and style | {"created_at": rfc3339(job.created_at)}


def _store_artifact(
    storage: Storage, folder: Path, prefix: str, about: dict[str, Any], on_progress: Callable[[], object]
) -> Artifact:
    name = about["file"]
    key = prefix + name
    with (
        (folder / name).open("rb") as stream,
        storage.open_writer(key, content_type=about["content_type"]) as incoming,
    ):
        while block := stream.read(READ_BLOCK_BYTES):
            incoming.write(block)
            on_progress()
        incoming.publish()
        size_bytes, sha256 = incoming.size_bytes, incoming.sha256
    return Artifact(
        name=name,
        key=key,
        kind=about["kind"],
        content_type=about["content_type"],
        size_bytes=size_bytes,
        sha256=sha256,
        shot=about.get("shot"),
        time_seconds=about.get("time_seconds"),
    )
