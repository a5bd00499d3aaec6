"""The receiver of the webhooks of all jobs, which answers badly now and then, and which jobs it was told of."""

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler

from standardwebhooks import WebhookVerificationError

from clipzy_storage.webhooks.signatures import secrets_of
from tests.chaos.aftermath import Aftermath
from tests.chaos.history import Event, History, only
from tests.chaos.owners import NAMES
from tests.support.processes import own_host
from tests.support.webhook_receiver import SECRET, Received, Receiver, running_receiver, status

CHANCE_OF_REFUSAL = 0.1


@contextmanager
def announced(history: History, *, seed: int) -> Iterator[Receiver]:
    """A receiver that records an ``announced`` for each event that it has accepted."""
    rng = random.Random(f"{seed}-receiver")
    with running_receiver(own_host()) as receiver:

        def answer(request: BaseHTTPRequestHandler) -> None:
            if rng.random() < CHANCE_OF_REFUSAL:
                status(500)(request)
                return
            sent = request.headers["webhook-id"]
            history.add(**_announcement(next(one for one in receiver.received if one.webhook_id == sent)))
            status(204)(request)

        receiver.otherwise = answer
        yield receiver


def _announcement(received: Received) -> Event:
    for owner in NAMES:
        with suppress(WebhookVerificationError):
            event = received.event(secret=secrets_of(owner, [SECRET])[0])
            end = event["type"].removeprefix("job.")
            return {"what": "announced", "job_id": event["data"]["job_id"], "status": end}
    return {"what": "unexpected", "found": f"an event that no owner's secret verifies: {received.webhook_id}"}


def settings_for(receiver: Receiver) -> dict[str, str]:
    """Of every process that may deliver to it."""
    return {"WEBHOOK_SECRETS": SECRET, "ALLOW_PRIVATE_ADDRESSES": receiver.host}


def unannounced(events: list[Event], after: Aftermath) -> Iterator[str]:
    """Accepted jobs with a webhook that have finished, and of whose end it was not told."""
    told = {event["job_id"] for event in only(events, "announced")}
    for event in only(events, "accepted"):
        job_id = event["job_id"]
        if event["webhook"] and job_id in after.jobs and job_id not in told:
            yield f"{job_id} is {after.jobs[job_id]['status']}, which was not announced"


def misannounced(events: list[Event], after: Aftermath) -> Iterator[str]:
    """Jobs of which another end was announced than they have."""
    for event in only(events, "announced"):
        found = after.jobs.get(event["job_id"], {}).get("status", event["status"])
        if found != event["status"]:
            yield f"{event['job_id']} is {found}, and was announced as {event['status']} at {event['at']} s"
