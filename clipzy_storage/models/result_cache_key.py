"""The key under which a result is cached: jobs with the same key have the same result, times and ids aside."""

import hashlib
import json

from pydantic import ValidationError

from clipzy_storage.models.job_config import JobConfig
from clipzy_storage.models.output import PIPELINE_VERSION
from clipzy_storage.models.records import Job, Status


def result_cache_key(job: Job, *, pipeline_version: str | None = PIPELINE_VERSION) -> str:
    """A sha256 of the owner, the bytes of the video, the config and the pipeline version.

    Empty if it is unknown: for a video whose digest was not known yet, for a result from before pipelines had versions,
    and for a config of a later Clipzy.
    """
    if not pipeline_version or job.source_sha256 is None:
        return ""
    try:
        options = JobConfig.model_validate(job.config).effective()
    except ValidationError:
        return ""
    parts = {"owner": job.owner, "sha256": job.source_sha256, "options": options, "pipeline": pipeline_version}
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def cache_key_of_result(job: Job) -> str:
    """The key under which the result of this job can be reused; empty if it has none."""
    if job.status is not Status.COMPLETED or job.expired:
        return ""
    return result_cache_key(job, pipeline_version=job.pipeline_version)
