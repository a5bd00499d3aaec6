"""What is left in a deployment after all jobs have finished: jobs, results, and what no process will delete."""

import json
from contextlib import suppress
from typing import Any

from clipzy_storage import keys
from clipzy_storage.backends.base import Storage, read_bytes
from clipzy_storage.errors import NotFound
from clipzy_storage.jobs import durable_records
from tests.chaos.aftermath import Aftermath
from tests.chaos.clearing import clear
from tests.chaos.deployment import Deployment
from tests.chaos.results import PublishedResult, read_published
from tests.chaos.stores import Store
from tests.chaos.watcher import seen
from tests.support.api_client import ApiClient

PAGE_SIZE = 100


def aftermath(deployment: Deployment) -> Aftermath:
    """All of it, after what is cleared by age alone has been cleared as if that age were reached."""
    storage = deployment.store.storage
    deployment.history.add("cleared", **clear(deployment))
    jobs = listed(deployment)
    results = {job_id: read_published(storage, job_id) for job_id in jobs}
    orphans = orphans_in(deployment.store, results) | {"scratch": [path.name for path in deployment.scratch]}
    return Aftermath(jobs, results, recorded_outcomes(storage), orphans)


def listed(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """All jobs that the first front end lists, of all owners."""
    found: dict[str, dict[str, Any]] = {}
    for owner in deployment.owners:
        found |= _listed(ApiClient(deployment.urls[0], headers=owner.headers))
    return found


def _listed(api: ApiClient) -> dict[str, dict[str, Any]]:
    jobs, page = {}, 1
    try:
        while True:
            answer = api.get("/jobs", params={"page": page, "page_size": PAGE_SIZE})
            assert answer.ok, answer.text
            for job in answer.json()["jobs"]:
                jobs[job["job_id"]] = seen(job) | {"filename": job["filename"]}
            if page * PAGE_SIZE >= answer.json()["total"]:
                return jobs
            page += 1
    finally:
        api.close()


def recorded_outcomes(storage: Storage) -> dict[str, str]:
    """The terminal states by the durable records."""
    ids = [blob.key.rpartition("/")[2].removesuffix(".json") for blob in storage.list("jobs/done/")]
    return {job_id: json.loads(read_bytes(storage, keys.done_job(job_id)))["status"] for job_id in ids}


def orphans_in(store: Store, results: dict[str, PublishedResult]) -> dict[str, list[str]]:
    """Files of the storage that belong to nothing."""
    storage = store.storage
    found = {
        "open record": list(durable_records.open_job_ids(storage)),
        "cancellation request": [blob.key for blob in storage.list("jobs/cancel/")],
        "result": [blob.key for blob in storage.list("results/") if not _is_of_a_result(blob.key, results)],
        "upload without a record": _unrecorded_uploads(storage),
        "unfinished": store.unfinished(),
    }
    return {kind: what for kind, what in found.items() if what}


def _is_of_a_result(key: str, results: dict[str, PublishedResult]) -> bool:
    found = results.get(key.split("/")[1], PublishedResult(None))
    if found.sha256 is None:
        return False
    return key.count("/") == 2 or key.startswith(found.prefix)


def _unrecorded_uploads(storage: Storage) -> list[str]:
    videos = {blob.key.split("/")[1] for blob in storage.list("uploads/")}
    return [video_id for video_id in sorted(videos) if not _has_record(storage, video_id)]


def _has_record(storage: Storage, video_id: str) -> bool:
    with suppress(NotFound):
        return bool(durable_records.read_video(storage, video_id))
    return False
