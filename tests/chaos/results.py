"""A look at what a job has published, past the front ends."""

import hashlib
from dataclasses import dataclass

from pydantic import ValidationError

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, read_bytes
from clipzy_storage.errors import NotFound
from clipzy_storage.models.output import Artifact, Output


@dataclass(frozen=True)
class Look:
    """``sha256`` of the index, ``None`` where none is to be seen; ``problems`` says what is not whole about it."""

    sha256: str | None
    folder: str = ""
    problems: tuple[str, ...] = ()


def look(storage: Storage, job_id: str) -> Look:
    """Read all that the job's ``output.json`` lists."""
    try:
        data = read_bytes(storage, keys.result_index(job_id))
    except NotFound:
        return Look(None)
    digest = hashlib.sha256(data).hexdigest()
    try:
        output = Output.model_validate_json(data)
    except ValidationError as error:
        return Look(digest, problems=(f"output.json is none: {error.error_count()} mistakes",))
    folders = {"/".join(artifact.key.split("/")[:4]) + "/" for artifact in output.artifacts}
    problems = [problem for artifact in output.artifacts if (problem := _missing(storage, artifact))]
    if output.job_id != job_id:
        problems.append(f"output.json is of {output.job_id}")
    if len(folders) != 1 or not next(iter(folders)).startswith(f"results/{job_id}/attempts/{output.attempt}-"):
        problems.append(f"artifacts of attempt {output.attempt} are in {sorted(folders)}")
    folder = next(iter(folders), "")
    return Look(digest, folder, tuple(problems))


def _missing(storage: Storage, artifact: Artifact) -> str | None:
    try:
        data = read_bytes(storage, artifact.key)
    except NotFound:
        return f"{artifact.key} is missing"
    if (len(data), hashlib.sha256(data).hexdigest()) != (artifact.size_bytes, artifact.sha256):
        return f"{artifact.key} is not what output.json says"
    return None
