"""Writes an attempt's files to storage, under a prefix that is not read before the attempt is committed."""

from collections.abc import Callable
from pathlib import Path

from clipzy_storage.backends.base import READ_BLOCK_BYTES, Storage, put_bytes
from clipzy_storage.failpoints import failpoint
from clipzy_storage.models.analysis import Analysis, ArtifactFile
from clipzy_storage.models.output import Artifact, Output, Source
from clipzy_storage.models.records import Job, rfc3339
from clipzy_storage.models.style_dna import StyleDna


def store_attempt(
    storage: Storage,
    job: Job,
    directory: Path,
    *,
    prefix: str,
    analysis: Analysis,
    on_progress: Callable[[], object] = lambda: None,
) -> bytes:
    """Write an attempt's artifacts and its ``output.json`` under ``prefix``. Returns that index.

    The artifacts of ``analysis`` are files in ``directory``. ``on_progress`` is called repeatedly and may raise.
    """
    artifacts = []
    for file in analysis.artifacts:
        artifacts.append(_store_artifact(storage, directory, prefix, file, on_progress))
        failpoint("artifact-stored")
    index = _output(job, analysis, artifacts).to_json()
    put_bytes(storage, prefix + "output.json", index, content_type="application/json")
    return index


def _output(job: Job, analysis: Analysis, artifacts: list[Artifact]) -> Output:
    created_at = str(rfc3339(job.created_at))
    return Output(
        job_id=job.job_id,
        video_id=job.video_id,
        attempt=job.attempt,
        created_at=created_at,
        source=Source(
            filename=job.filename,
            container=job.source_container,
            size_bytes=job.source_size_bytes,
            sha256=job.source_sha256,
            **dict(analysis.source),
        ),
        shots=analysis.shots,
        audio=analysis.audio,
        motion=analysis.motion,
        color=analysis.color,
        style=analysis.style and StyleDna.of(analysis.style, created_at=created_at),
        artifacts=artifacts,
        warnings=analysis.warnings,
        timings=analysis.timings,
    )


def _store_artifact(
    storage: Storage, directory: Path, prefix: str, file: ArtifactFile, on_progress: Callable[[], object]
) -> Artifact:
    key = prefix + file.file
    with (
        (directory / file.file).open("rb") as stream,
        storage.open_writer(key, content_type=file.content_type) as writer,
    ):
        while block := stream.read(READ_BLOCK_BYTES):
            writer.write(block)
            on_progress()
        writer.publish()
        size_bytes, sha256 = writer.size_bytes, writer.sha256
    return Artifact(
        name=file.file,
        key=key,
        kind=file.kind,
        content_type=file.content_type,
        size_bytes=size_bytes,
        sha256=sha256,
        shot=file.shot,
        time_seconds=file.time_seconds,
    )
