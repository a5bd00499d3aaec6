"""From an attempt's files to the one result that everybody sees."""

import hashlib
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from clipzy_storage import durable, keys
from clipzy_storage.base import Storage, put_bytes, read_bytes
from clipzy_storage.contract import ErrorCode, Job, rfc3339
from clipzy_storage.errors import AlreadyExists, NotFound, StorageError
from clipzy_storage.jobs import Decided, JobStore
from clipzy_storage.output import Artifact, Output

COPY_BLOCK_BYTES = 1 << 20

log = logging.getLogger(__name__)


class LostResult(Exception):
    """What was committed is not in storage any more, and had not been published."""


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
    put_bytes(storage, prefix + "output.json", output, content_type="application/json")
    return hashlib.sha256(output).hexdigest()


def conclude(jobs: JobStore, storage: Storage, decided: Decided) -> Job | None:
    """Make a decided end durable, then visible. Whoever holds the token may do it, and may do it again.

    Returns the finished job, or ``None`` where another has taken it over.
    """
    if decided.outcome == "completed":
        try:
            _publish_index(storage, decided)
        except LostResult as error:
            log.error("job.result_lost: %s: %s", decided.job.job_id, error)
            jobs.fail(decided.job.job_id, decided.token, ErrorCode.PROCESSING_FAILED, "the result was lost in storage")
            failed = jobs.decided(decided.job.job_id, decided.token)
            return conclude(jobs, storage, failed) if failed else None
    job = decided.job
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
    """Copy the committed bytes, exactly, to where readers look.

    Where a result has been published before, it stays: Redis had forgotten that the job was finished, and what a
    caller may have seen never changes. Raises ``LostResult`` where the committed bytes are not there.
    """
    key = keys.result_index(decided.job.job_id)
    if storage.exists(key):
        if hashlib.sha256(read_bytes(storage, key)).hexdigest() != decided.result_sha256:
            log.warning("job.result_kept: %s was published before", key)
            discard_attempt(storage, decided.attempt_folder)
        return
    try:
        data = read_bytes(storage, decided.attempt_folder + "output.json")
    except NotFound as error:
        raise LostResult(f"{decided.attempt_folder}output.json is gone") from error
    if hashlib.sha256(data).hexdigest() != decided.result_sha256:
        raise LostResult(f"{decided.attempt_folder}output.json is not what was committed")
    with suppress(AlreadyExists):  # by another who concludes the same job: the same bytes
        put_bytes(storage, key, data, content_type="application/json")


def _store_artifact(storage: Storage, folder: Path, prefix: str, about: dict[str, Any]) -> Artifact:
    name = about["file"]
    key = prefix + name
    with (
        (folder / name).open("rb") as stream,
        storage.incoming(key, content_type=about["content_type"]) as incoming,
    ):
        while block := stream.read(COPY_BLOCK_BYTES):
            incoming.write(block)
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
    )
