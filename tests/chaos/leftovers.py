"""What is left in a deployment after everything has ended: jobs, results, and what nobody will clear."""

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
from tests.chaos.results import Look, look
from tests.chaos.stores import Store
from tests.chaos.watcher import seen
from tests.support.api_client import ApiClient

PAGE_SIZE = 100


def aftermath(deployment: Deployment) -> Aftermath:
    """All of it, after what is cleared by age alone has been cleared as if that age were reached."""
    storage = deployment.store.storage
    deployment.history.add("cleared", **clear(deployment))
    jobs = listed(deployment.urls[0])
    looks = {job_id: look(storage, job_id) for job_id in jobs}
    orphans = orphans_in(deployment.store, looks) | {"scratch": [path.name for path in deployment.scratch]}
    return Aftermath(jobs, looks, ends_recorded(storage), orphans)


def listed(url: str, **query: str) -> dict[str, dict[str, Any]]:
    """All jobs that the front end lists."""
    api, jobs, page = ApiClient(url), {}, 1
    try:
        while True:
            answer = api.get("/jobs", params={"page": page, "page_size": PAGE_SIZE, **query})
            assert answer.ok, answer.text
            for job in answer.json()["jobs"]:
                jobs[job["job_id"]] = seen(job) | {"filename": job["filename"]}
            if page * PAGE_SIZE >= answer.json()["total"]:
                return jobs
            page += 1
    finally:
        api.close()


def ends_recorded(storage: Storage) -> dict[str, str]:
    """What the durable records say of the ends."""
    ids = [blob.key.rpartition("/")[2].removesuffix(".json") for blob in storage.list("jobs/done/")]
    return {job_id: json.loads(read_bytes(storage, keys.done_job(job_id)))["status"] for job_id in ids}


def orphans_in(store: Store, looks: dict[str, Look]) -> dict[str, list[str]]:
    """Files of the storage that belong to nothing."""
    storage = store.storage
    found = {
        "open record": list(durable_records.open_job_ids(storage)),
        "wish to cancel": [blob.key for blob in storage.list("jobs/cancel/")],
        "result": [blob.key for blob in storage.list("results/") if not _is_of_a_result(blob.key, looks)],
        "upload without a record": _unrecorded_uploads(storage),
        "unfinished": store.unfinished(),
    }
    return {kind: what for kind, what in found.items() if what}


def _is_of_a_result(key: str, looks: dict[str, Look]) -> bool:
    found = looks.get(key.split("/")[1], Look(None))
    if found.sha256 is None:
        return False
    return key.count("/") == 2 or key.startswith(found.folder)


def _unrecorded_uploads(storage: Storage) -> list[str]:
    videos = {blob.key.split("/")[1] for blob in storage.list("uploads/")}
    return [video_id for video_id in sorted(videos) if not _has_record(storage, video_id)]


def _has_record(storage: Storage, video_id: str) -> bool:
    with suppress(NotFound):
        return bool(durable_records.read_video(storage, video_id))
    return False
