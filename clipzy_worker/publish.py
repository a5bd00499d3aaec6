"""From an attempt's files to the one result that everybody sees."""

import hashlib
import logging
from pathlib import Path
from typing import Any

from clipzy_storage import durable, keys
from clipzy_storage.base import Storage, read_bytes
from clipzy_storage.contract import Job, rfc3339
from clipzy_storage.errors import AlreadyExists, StorageError
from clipzy_storage.jobs import Decided, JobStore
from clipzy_storage.output import Artifact, Output

COPY_BLOCK_BYTES = 1 << 20

log = logging.getLogger(__name__)


def store_attempt(storage: Storage, job: Job, folder: Path, *, prefix: str, analysis: dict[str, Any]) -> str:
    """Write an attempt's artifacts and its ``output.json`` under ``prefix``, where nobody looks yet.

    ``analysis`` is what the stages found; its artifacts name files in ``folder``. Returns the index's sha256.
    """
    artifacts = [_store_artifact(storage, folder, prefix, about) for about in analysis["artifacts"]]
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
        artifacts=artifacts,
        warnings=analysis.get("warnings", []),
        timings=analysis["timings"],
    ).to_json()
    _put(storage, prefix + "output.json", output)
    return hashlib.sha256(output).hexdigest()


def conclude(jobs: JobStore, storage: Storage, decided: Decided) -> Job | None:
    """Make a decided end durable, then visible. Whoever holds the token may do it, and may do it again.

    Returns the finished job, or ``None`` where another has taken it over.
    """
    job = decided.job
    if decided.outcome == "completed":
        _publish_index(storage, decided)
    durable.write_done_job(storage, job)
    finished = jobs.finish(job.job_id, decided.token)
    if finished is not None:
        durable.remove_open_job(storage, job.job_id)
        log.info("job.%s: %s attempt %d", finished.status.value, job.job_id, job.attempt)
    return finished


def discard_attempt(storage: Storage, prefix: str) -> None:
    """Remove what an attempt that will never count has written."""
    try:
        for blob in list(storage.list(prefix)):
            storage.delete(blob.key)
    except StorageError as error:
        log.warning("attempt.left_behind: %s (%s)", prefix, error)


def _publish_index(storage: Storage, decided: Decided) -> None:
    """Copy the committed bytes, exactly, to where readers look. Raises ``StorageError`` if they are not those."""
    data = read_bytes(storage, decided.attempt_folder + "output.json")
    if hashlib.sha256(data).hexdigest() != decided.result_sha256:
        raise StorageError(f"{decided.attempt_folder}output.json is not what was committed")
    _put(storage, keys.result_index(decided.job.job_id), data)


def _put(storage: Storage, key: str, data: bytes) -> None:
    """Write ``data``, or find that just this is there already. Raises ``AlreadyExists`` where it is something else."""
    try:
        with storage.incoming() as incoming:
            incoming.write(data)
            incoming.publish(key, content_type="application/json")
    except AlreadyExists:
        if read_bytes(storage, key) != data:
            raise


def _store_artifact(storage: Storage, folder: Path, prefix: str, about: dict[str, Any]) -> Artifact:
    name = about["file"]
    key = prefix + name
    with (folder / name).open("rb") as stream, storage.incoming() as incoming:
        while block := stream.read(COPY_BLOCK_BYTES):
            incoming.write(block)
        incoming.publish(key, content_type=about["content_type"])
        size_bytes, sha256 = incoming.size_bytes, incoming.sha256
    return Artifact(
        name=name,
        key=key,
        kind=about["kind"],
        content_type=about["content_type"],
        size_bytes=size_bytes,
        sha256=sha256,
        shot=about.get("shot"),
    )
