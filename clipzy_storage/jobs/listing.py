"""An owner's jobs, newest first: by page number, or after a cursor, which does not shift while jobs arrive."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from clipzy_storage.jobs.redis_record import readable
from clipzy_storage.models.records import Job, Status
from clipzy_storage.redis_client import RedisDatabase, translated

_CURSOR = re.compile(r"([0-9]{1,16}):([0-9a-z_]{1,64})", re.ASCII)


@dataclass(frozen=True)
class Cursor:
    """A place in a listing: behind this job, also once it is deleted."""

    order: int
    """Of the job among all others, as Redis counts it."""
    job_id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ``ValueError`` unless it is what ``str`` of a cursor has returned."""
        try:
            found = _CURSOR.fullmatch(base64.b64decode(text, altchars=b"-_", validate=True).decode("ascii"))
        except binascii.Error as error:
            raise ValueError("a cursor is in base64") from error
        if found is None:
            raise ValueError("a cursor has an order and a job")
        return cls(int(found[1]), found[2])

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.order}:{self.job_id}".encode()).decode()


class Page(NamedTuple):
    """Some of an owner's jobs."""

    jobs: list[Job]
    total: int
    """Of all pages."""
    next_cursor: Cursor | None
    """Where the next page begins; None behind the last job."""


class JobListing:
    """The listings of one Redis. Methods may raise ``QueueUnavailable``."""

    def __init__(self, redis: RedisDatabase) -> None:
        self._redis = redis

    def page(self, *, owner: str, status: Status | None, number: int, page_size: int) -> Page:
        """One page, counted from 1."""
        first = (number - 1) * page_size
        with translated():
            listing = self._redis.client.zrevrange(self._key(owner, status), first, first + page_size, withscores=True)
        return self._listed(owner, status, listing, page_size)

    def after(self, cursor: Cursor, *, owner: str, status: Status | None, page_size: int) -> Page:
        """What follows there."""
        key = self._key(owner, status)
        with translated():
            ties = self._redis.client.zcount(key, cursor.order, cursor.order)
            found = self._redis.client.zrevrangebyscore(
                key, cursor.order, "-inf", start=0, num=ties + page_size + 2, withscores=True
            )
        return self._listed(owner, status, [one for one in found if _is_after(cursor, *one)], page_size)

    def _key(self, owner: str, status: Status | None) -> str:
        return self._redis.key(f"jobs:of:{owner}" + (f":{status.value}" if status else ""))

    def _listed(self, owner: str, status: Status | None, found: list[tuple[str, float]], page_size: int) -> Page:
        """The first of what was ``found``, which has one more if there are more."""
        shown, has_more = found[:page_size], len(found) > page_size
        with translated():
            pipeline = self._redis.client.pipeline(transaction=False)
            pipeline.zcard(self._key(owner, status))
            for job_id, _ in shown:
                pipeline.hgetall(self._redis.key(f"job:{job_id}"))
            total, *records = pipeline.execute()
        last: Any = shown[-1] if has_more and shown else None
        return Page(list(readable(records)), total, Cursor(int(last[1]), last[0]) if last else None)


def _is_after(cursor: Cursor, job_id: str, order: float) -> bool:
    return job_id != cursor.job_id and (int(order), job_id) < (cursor.order, cursor.job_id)
