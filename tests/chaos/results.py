"""What a job has published, read from storage without the front ends."""

import hashlib
from dataclasses import dataclass

from pydantic import ValidationError

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, read_bytes
from clipzy_storage.errors import NotFound
from clipzy_storage.models.output import Artifact, Output


@dataclass(frozen=True)
class PublishedResult:
    """``sha256`` of the index, None if there is none; ``problems`` lists what is missing or differs.

    ``reused_from`` is the job that analysed the video, if it was another one.
    """

    sha256: str | None
    prefix: str = ""
    problems: tuple[str, ...] = ()
    reused_from: str | None = None


def read_published(storage: Storage, job_id: str) -> PublishedResult:
    """Read all that the job's ``output.json`` lists."""
    try:
        data = read_bytes(storage, keys.result_index(job_id))
    except NotFound:
        return PublishedResult(None)
    digest = hashlib.sha256(data).hexdigest()
    try:
        output = Output.model_validate_json(data)
    except ValidationError as error:
        return PublishedResult(digest, problems=(f"output.json is none: {error.error_count()} mistakes",))
    prefixes = {"/".join(artifact.key.split("/")[:4]) + "/" for artifact in output.artifacts}
    problems = [problem for artifact in output.artifacts if (problem := _missing(storage, artifact))]
    if output.job_id != job_id:
        problems.append(f"output.json is of {output.job_id}")
    if len(prefixes) != 1 or not next(iter(prefixes)).startswith(f"results/{job_id}/attempts/{output.attempt}-"):
        problems.append(f"artifacts of attempt {output.attempt} are in {sorted(prefixes)}")
    prefix = next(iter(prefixes), "")
    return PublishedResult(digest, prefix, tuple(problems), output.reused_from)


def _missing(storage: Storage, artifact: Artifact) -> str | None:
    try:
        data = read_bytes(storage, artifact.key)
    except NotFound:
        return f"{artifact.key} is missing"
    if (len(data), hashlib.sha256(data).hexdigest()) != (artifact.size_bytes, artifact.sha256):
        return f"{artifact.key} differs from output.json"
    return None
