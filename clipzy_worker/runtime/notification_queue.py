"""The notifications that wait in the broker, as reaper and watchdog see them: a list for each queue in its Redis."""

from clipzy_storage import keys
from clipzy_storage.models.records import Queue
from clipzy_storage.redis_client import RedisDatabase, translated

# What kombu made for the queue of older versions, which no one reads any more.
_OLD_EXCHANGES = ("clipzy.jobs", "celery.pidbox", "reply.celery.pidbox", "celeryev")
_OLD_KEYS = (
    *("clipzy.jobs", "unacked", "unacked_index", "unacked_mutex", "_kombu.binding_deadlines"),
    *(f"_kombu.binding.{name}" for name in _OLD_EXCHANGES),
    *(f"_kombu.binding_permanent.{name}" for name in _OLD_EXCHANGES),
)


class NotificationQueues:
    """The queues of one deployment in the Redis of the broker. Every method may raise ``QueueUnavailable``."""

    def __init__(self, broker: RedisDatabase, *, storage_id: str) -> None:
        self._broker = broker
        self._prefix = keys.broker_prefix(storage_id)

    def length(self, queue: Queue) -> int:
        """How many messages no worker has taken yet."""
        with translated():
            return int(self._broker.client.llen(self._prefix + queue))

    def clear(self, queue: Queue) -> None:
        """Drop all messages that wait; the reaper sends those again that are needed."""
        with translated():
            self._broker.client.delete(self._prefix + queue)

    def delete_old_keys(self) -> None:
        """Delete what older versions left in the broker. Their waiting jobs are notified again."""
        with translated():
            self._broker.client.delete(*(keys.BROKER_PREFIX + name for name in _OLD_KEYS))
