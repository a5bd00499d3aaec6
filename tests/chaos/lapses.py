"""How a history breaks the promise: two jobs for one, outcomes that change, and cancelled jobs that are not. Pure."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tests.chaos.aftermath import Aftermath
from tests.chaos.history import Event, only
from tests.chaos.watcher import FINAL


def doubled(events: list[Event], after: Aftermath, *, idempotent: bool) -> Iterator[str]:
    """More jobs of one key than its askings can have made, and jobs of no key at all."""
    made: dict[str, set[str]] = defaultdict(set)
    for event in only(events, "accepted"):
        made[event["key"]].add(event["job_id"])
    for job_id, job in after.jobs.items():
        made[job["filename"].removesuffix(".mp4")].add(job_id)
    for key, jobs in made.items():
        asked = [event["at"] for event in only(events, "asked") if (event["key"], event["path"]) == (key, "/jobs")]
        losses = [loss for loss in only(events, "loss") if asked and _lies_between([loss], asked[0], asked[-1])]
        most = min(len(asked), 1 + len(losses) if idempotent else len(asked))
        if len(jobs) > most:
            yield f"{key} has {len(jobs)} jobs, at most {most} can be: {', '.join(sorted(jobs))}"


def changed(events: list[Event], after: Aftermath) -> Iterator[str]:
    """Outcomes and results that changed, at any time; progress that fell though Redis forgot nothing."""
    yield from _other_bytes(events, after)
    losses, before = list(only(events, "loss")), dict[str, Event]()
    for event in [*only(events, "seen"), *_seen_last(events, after)]:
        job_id = event["job_id"]
        last = before.setdefault(job_id, event)
        if last["status"] not in FINAL:
            before[job_id] = event
            has_fallen = event["progress_percent"] < last["progress_percent"]
            if has_fallen and not _lies_between(losses, last["asked_at"], event["at"]):
                yield f"{job_id}: progress fell to {event['progress_percent']} at {event['at']} s"
        elif _outcome(last) != _outcome(event):
            yield f"{job_id} was {_outcome(last)} at {last['at']} s, and {_outcome(event)} at {event['at']} s"


def _other_bytes(events: list[Event], after: Aftermath) -> Iterator[str]:
    digests = {job_id: found.sha256 for job_id, found in after.results.items() if found.sha256}
    for event in only(events, "result"):
        if event["sha256"] and digests.setdefault(event["job_id"], event["sha256"]) != event["sha256"]:
            yield f"{event['job_id']}: other bytes in output.json at {event['at']} s"


def _seen_last(events: list[Event], after: Aftermath) -> Iterator[Event]:
    """The aftermath as if each job were polled once more."""
    at = events[-1]["at"] if events else 0.0
    return ({"at": at, "asked_at": at, "job_id": job_id, **job} for job_id, job in after.jobs.items())


def _lies_between(losses: list[Event], first: float, last: float) -> bool:
    """Whether Redis was forgetting at any moment of that time."""
    return any(loss["began_at"] <= last and first <= loss["at"] for loss in losses)


def _outcome(event: Event) -> tuple[Any, ...]:
    return event["status"], event["error"], event["attempt"], event["finished_at"]


def uncancelled(events: list[Event], after: Aftermath) -> Iterator[str]:
    """Jobs that finished otherwise though a cancellation was accepted, or were cancelled without a request."""
    wanted = {event["job_id"] for event in only(events, "cancelling")}
    for job_id, job in after.jobs.items():
        if job["status"] == "cancelled" and job_id not in wanted:
            yield f"{job_id} is cancelled without a request"
    losses, accepted = list(only(events, "loss")), {event["job_id"]: event["at"] for event in only(events, "accepted")}
    for event in only(events, "cancel"):
        job_id, status = event["job_id"], after.jobs.get(event["job_id"], {}).get("status")
        # A Redis that forgot may have taken a finished job for an unfinished one.
        is_excused = _lies_between(losses, accepted[job_id], event["at"])
        if event["status"] == 202 and status in FINAL - {"cancelled"} and not is_excused:
            yield f"{job_id} should have been cancelled from {event['at']} s on, and is {status}"
