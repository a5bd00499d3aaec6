"""Writes an attempt's files to storage, under a prefix that is not read before the attempt is committed."""

from collections.abc import Callable
from pathlib import Path

from clipzy_storage.backends.base import READ_BLOCK_BYTES, Storage, put_bytes
from clipzy_storage.failpoints import failpoint
from clipzy_storage.models.analysis import Analysis, ArtifactFile
from clipzy_storage.models.output import Artifact, Output, Source
from clipzy_storage.models.records import Job, SourceFile, rfc3339
from clipzy_storage.models.style_dna import StyleDna
from clipzy_worker.errors import result_too_large


def store_attempt(
    storage: Storage,
    job: Job,
    source: SourceFile,
    directory: Path,
    *,
    prefix: str,
    analysis: Analysis,
    source_sha256: str,
    max_bytes: int,
    on_progress: Callable[[], object] = lambda: None,
) -> bytes:
    """Write an attempt's artifacts and its ``output.json`` under ``prefix``. Returns that index.

    The artifacts of ``analysis`` are files in ``directory``. ``on_progress`` is called repeatedly and may raise.
    Raises ``ResultTooLarge`` if they are more than ``max_bytes`` together; what was written until then stays.
    """
    size = _ResultSize(max_bytes)

    def count(written_bytes: int) -> None:
        size.add(written_bytes)
        on_progress()

    artifacts = []
    for file in analysis.artifacts:
        artifacts.append(_store_artifact(storage, directory, prefix, file, on_written=count))
        failpoint("artifact-stored")
    index = _output(job, source, analysis, artifacts, sha256=source_sha256).to_json()
    size.add(len(index))
    put_bytes(storage, prefix + "output.json", index, content_type="application/json")
    return index


class _ResultSize:
    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._bytes = max_bytes, 0

    def add(self, size_bytes: int) -> None:
        """Raises ``ResultTooLarge``."""
        self._bytes += size_bytes
        if self._bytes > self._max_bytes:
            raise result_too_large(self._max_bytes)


def _output(job: Job, source: SourceFile, analysis: Analysis, artifacts: list[Artifact], *, sha256: str) -> Output:
    created_at = str(rfc3339(job.created_at))
    return Output(
        job_id=job.job_id,
        video_id=job.video_id,
        attempt=job.attempt,
        created_at=created_at,
        source=Source(
            filename=job.filename,
            container=source.container,
            size_bytes=source.size_bytes,
            sha256=sha256,
            **dict(analysis.source),
        ),
        shots=analysis.shots,
        audio=analysis.audio,
        motion=analysis.motion,
        color=analysis.color,
        style=analysis.style and StyleDna.of(analysis.style, created_at=created_at),
        clips=analysis.clips,
        render=analysis.render,
        artifacts=artifacts,
        warnings=analysis.warnings,
        timings=analysis.timings,
    )


def _store_artifact(
    storage: Storage, directory: Path, prefix: str, file: ArtifactFile, *, on_written: Callable[[int], object]
) -> Artifact:
    key = prefix + file.file
    with (
        (directory / file.file).open("rb") as stream,
        storage.open_writer(key, content_type=file.content_type) as writer,
    ):
        while block := stream.read(READ_BLOCK_BYTES):
            on_written(len(block))
            writer.write(block)
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
        clip=file.clip,
    )
