"""Deliveries of a job's end to its webhook: what came of them, and replays."""

from flask import Blueprint, Response

from clipzy_api import schemas
from clipzy_api.inputs.preconditions import admit, refuse_fields, refuse_parameters
from clipzy_api.inputs.webhook_url import require_secrets
from clipzy_api.openapi.operations import NO_FIELDS_PROBLEMS, Answer, described
from clipzy_api.problems import ApiError
from clipzy_api.schemas import json_response
from clipzy_api.services import find_job, services
from clipzy_storage.models.deliveries import DeliveryRecord
from clipzy_storage.models.records import Job
from clipzy_storage.webhooks import outbox
from clipzy_storage.webhooks.delivery import replay

UNAVAILABLE = ("QUEUE_UNAVAILABLE", "STORAGE_UNAVAILABLE")

deliveries = Blueprint("deliveries", __name__)


@deliveries.get("/jobs/<job_id>/deliveries")
@described(
    "List the deliveries of a job",
    [Answer(200, "What was sent to the job's webhook, and what will be.", schemas.Deliveries)],
    problems=UNAVAILABLE,
)
def list_deliveries(job_id: str) -> Response:
    """A job has at most one, once it has finished: the announcement of its end, with every attempt at it."""
    job = find_job(job_id)
    record = _record_of(job)
    listed = [] if record is None else [schemas.Delivery.of(job, record)]
    return json_response(schemas.Deliveries(deliveries=listed))


@deliveries.post("/jobs/<job_id>/deliveries/<delivery_id>/replay")
@described(
    "Replay a delivery",
    [Answer(202, "The delivery, which is due.", schemas.Delivery)],
    problems=["DELIVERY_IN_PROGRESS", *NO_FIELDS_PROBLEMS, *UNAVAILABLE, "STORAGE_FULL"],
)
def replay_delivery(job_id: str, delivery_id: str) -> tuple[Response, int]:
    """Sends the event anew, with the same `webhook-id`, and repeats that as at first. The request has no fields."""
    refuse_parameters()
    admit()
    refuse_fields()
    job = find_job(job_id)
    record = _record_of(job)
    if record is None or record.delivery_id != delivery_id:
        raise ApiError("DELIVERY_NOT_FOUND", detail="The job has no such delivery.")
    require_secrets()
    replayed = replay(services().due_deliveries, services().storage, job)
    return json_response(schemas.Delivery.of(job, replayed)), 202


def _record_of(job: Job) -> DeliveryRecord | None:
    """None if nothing is sent to a webhook, or not yet."""
    if not job.status.is_final or job.webhook_url is None:
        return None
    return outbox.read(services().storage, job)
