"""What a result is made of: two jobs of the same recipe have the same result, but for times and ids."""

import hashlib
import json

from pydantic import ValidationError

from clipzy_storage.models.job_config import JobConfig
from clipzy_storage.models.output import PIPELINE_VERSION
from clipzy_storage.models.records import Job, Status


def result_cache_key(job: Job, *, pipeline_version: str | None = PIPELINE_VERSION) -> str:
    """A digest of the owner, the footage's bytes, the options and the pipeline; empty where nobody can tell.

    So it is for a result of before pipelines had versions, and for options of a later Clipzy.
    """
    if not pipeline_version:
        return ""
    try:
        options = JobConfig.model_validate(job.config).effective()
    except ValidationError:
        return ""
    made_of = {"owner": job.owner, "sha256": job.source_sha256, "options": options, "pipeline": pipeline_version}
    canonical = json.dumps(made_of, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def cache_key_of_result(job: Job) -> str:
    """Of what this job has published, so that others may be given it; empty where it has published nothing."""
    if job.status is not Status.COMPLETED or job.expired:
        return ""
    return result_cache_key(job, pipeline_version=job.pipeline_version)
