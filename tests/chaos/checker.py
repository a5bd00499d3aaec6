"""Compares what was accepted with what is seen after everything has healed and drained. Pure: values in, values out."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.chaos.aftermath import Aftermath
from tests.chaos.announcements import misannounced, unannounced
from tests.chaos.history import Event, only
from tests.chaos.lapses import changed, doubled, uncancelled
from tests.chaos.results import PublishedResult
from tests.chaos.watcher import FINAL

REFUSED = 78
LEGITIMATE_FAILURES = {"WORKER_LOST", "PROCESSING_FAILED"}  # three lost workers, two crashes of the media process


@dataclass
class Verdict:
    """One line for each job that breaks the promise, by how it does."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    unannounced: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not any(vars(self).values())


def judge(events: list[Event], after: Aftermath, *, idempotent: bool = True) -> Verdict:
    """Whether the promise held. ``idempotent``: a repeated key finds the first job."""
    verdict = Verdict()
    for job_id in dict.fromkeys(event["job_id"] for event in only(events, "accepted")):
        _judge_outcome(job_id, after, verdict)
    verdict.doubled += doubled(events, after, idempotent=idempotent)
    verdict.changed += changed(events, after)
    verdict.partial += dict.fromkeys(
        f"{event['job_id']} at {event['at']} s: {problem}"
        for event in only(events, "result")
        for problem in event["problems"] or ([] if event["sha256"] else ["completed without output.json"])
    )
    verdict.orphaned += [f"{kind}: {what}" for kind, found in after.orphans.items() for what in found]
    verdict.changed += [*uncancelled(events, after), *misannounced(events, after)]
    verdict.unannounced += unannounced(events, after)
    verdict.leaked += [
        f"{event['job_id']} was shown to {event['to']} at {event['at']} s: {event['found']}"
        for event in only(events, "leaked")
    ]
    verdict.unexpected += _unexpected(events, after)
    return verdict


def outcomes(after: Aftermath) -> Counter[str]:
    """How many jobs have each terminal state; failures by code; and how many of the completed were not analysed."""
    return Counter(
        f"failed with {job['error']}" if job["status"] == "failed" else job["status"] for job in after.jobs.values()
    ) + Counter("reused an earlier result" for result in after.results.values() if result.reused_from)


def _judge_outcome(job_id: str, after: Aftermath, verdict: Verdict) -> None:
    job, found = after.jobs.get(job_id), after.results.get(job_id, PublishedResult(None))
    if job is None:
        verdict.lost.append(f"{job_id} is not known any more")
        return
    if job["status"] not in FINAL:
        verdict.lost.append(f"{job_id} is still {job['status']}")
        return
    if job_id not in after.done:
        verdict.partial.append(f"{job_id} is {job['status']} without a durable record")
    elif after.done[job_id] != job["status"]:
        verdict.changed.append(f"{job_id} is {job['status']}, its durable record has {after.done[job_id]}")
    if job["status"] != "completed":
        if found.sha256:
            verdict.changed.append(f"{job_id} is {job['status']}, yet has a result")
        return
    verdict.partial += [f"{job_id}: {problem}" for problem in found.problems]
    if found.sha256 is None:
        verdict.partial.append(f"{job_id} is completed without output.json")


def _unexpected(events: list[Event], after: Aftermath) -> Iterator[str]:
    yield from (str(event) for event in only(events, "unexpected"))
    exits = only(events, "exited")
    yield from (f"{event['node']} refused at {event['at']} s" for event in exits if event["status"] == REFUSED)
    missing = Counter(event["job_id"] for event in only(events, "missing"))
    yield from (f"{job_id} was not found {times} times" for job_id, times in missing.items())
    for job_id, job in after.jobs.items():
        if job["status"] == "failed" and job["error"] not in LEGITIMATE_FAILURES:
            yield f"{job_id} failed with {job['error']}"
    for job_id in [event["job_id"] for event in only(events, "accepted") if not event["reuse"]]:
        if job_id in after.results and after.results[job_id].reused_from:
            yield f"{job_id} must not reuse a result, and has that of {after.results[job_id].reused_from}"
