"""Whether this front end can use records and queue, as ``/readyz`` reports it."""

import structlog

from clipzy_storage.errors import QueueRefused, QueueUnavailable
from clipzy_storage.redis_check import Use, check_rights
from clipzy_storage.redis_client import RedisDatabase, translated

log = structlog.stdlib.get_logger(__name__)


class RedisReadiness:
    """Checks both; they may be the same Redis."""

    def __init__(self, records: RedisDatabase, broker: RedisDatabase) -> None:
        self._records = records
        self._uses: tuple[tuple[RedisDatabase, Use], ...] = ((records, "records"), (broker, "broker"))

    def check(self) -> None:
        """Raise ``QueueUnavailable`` if the records do not answer, or if records or queue refuse this front end.

        A broker out of reach, and a Redis that is full or read-only, do not count: jobs can be read, and a job whose
        notification was lost is notified later.
        """
        with translated(certain=True):
            self._records.client.ping()
        for redis, use in self._uses:
            try:
                check_rights(redis, uses=(use,))
            except QueueRefused:
                raise
            except QueueUnavailable as error:
                log.debug("web.redis_limited", use=use, reason=str(error))
