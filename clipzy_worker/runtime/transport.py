"""Takes hints out of the broker's list, and drops what is none before Celery stumbles over it.

Celery trusts its list. What it cannot read ends the worker in the middle of its loop, and is put back for the next one
where it had been noted as taken.
"""

import logging
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis

from clipzy_storage import celery_config

log = logging.getLogger(__name__)


def install() -> None:
    """Have this process take its messages in this way, whatever address of a Redis it connects to."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))


class _Channel(redis.Channel):
    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc] # not in the stubs
        except celery_config.UNREADABLE as error:
            log.error("inbox.dropped: a message that cannot be read: %s", repr(error)[:200])
            raise Empty from error  # to kombu: there was none


class Transport(redis.Transport):
    """The Redis transport of a worker."""

    Channel = _Channel

    def _deliver(self, message: Any, queue: str | None) -> None:
        if queue == celery_config.QUEUE and not celery_config.is_notification(message):
            log.error("inbox.dropped: a message that is no hint as this version knows it: %s", _name_of(message))
            return
        super()._deliver(message, queue)


def _name_of(message: Any) -> str:
    try:
        return repr(message["headers"]["task"])[:100]
    except celery_config.UNREADABLE:
        return "it names no task"
