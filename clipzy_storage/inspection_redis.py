"""Compares the durable records of jobs with the ones in Redis, both ways. Changes nothing."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from clipzy_storage import durable, keys
from clipzy_storage.base import Storage
from clipzy_storage.garbage import HOUR_SECONDS
from clipzy_storage.inspection import Finding, FindingKind


class KnownJobs(Protocol):
    """What Redis knows. Every method may raise ``QueueUnavailable``."""

    def unfinished_ids(self) -> set[str]:
        """Every job that waits or is held."""

    def ended_ids(self) -> set[str]:
        """Every finished job that Redis still knows."""

    def unknown(self, job_ids: Iterable[str]) -> Iterator[str]:
        """Those of which Redis has no record."""


def findings(storage: Storage, known: KnownJobs) -> Iterator[Finding]:
    """Raises ``QueueUnavailable``, ``StorageUnavailable``.

    A job has its open record before Redis knows of it, and its done record before Redis knows of its end; so Redis is
    asked first, and what then has no record was submitted, ended or deleted meanwhile, or there is something wrong.
    """
    unfinished, ended = known.unfinished_ids(), known.ended_ids()
    unfinished.difference_update(durable.open_job_ids(storage))
    ended.difference_update(durable.done_job_ids(storage))
    for job_id in sorted(unfinished & known.unfinished_ids() if unfinished else unfinished):
        if not storage.exists(keys.open_job(job_id)):
            has_ended = storage.exists(keys.done_job(job_id))
            why = "Redis holds the job as unfinished" + (", though its done record says that it has ended" * has_ended)
            yield Finding(FindingKind.MISSING, keys.open_job(job_id), why)
    for job_id in sorted(ended & known.ended_ids() if ended else ended):
        if not storage.exists(keys.done_job(job_id)):
            yield Finding(FindingKind.MISSING, keys.done_job(job_id), "Redis holds the job as finished")
    yield from _unknown(storage, known)


def _unknown(storage: Storage, known: KnownJobs) -> Iterator[Finding]:
    settled = (blob.key for blob in storage.list("jobs/open/") if blob.age_seconds >= HOUR_SECONDS)
    names = (key.removeprefix("jobs/open/").removesuffix(".json") for key in settled)
    for job_id in known.unknown(name for name in names if keys.is_job_id(name)):
        # Where it has a done record too, that it ended is what is to be told, and is told already.
        if storage.exists(keys.open_job(job_id)) and not storage.exists(keys.done_job(job_id)):
            why = "Redis does not know this unfinished job; `clipzy recover` takes it up"
            yield Finding(FindingKind.UNKNOWN, keys.open_job(job_id), why)
