"""The Celery broker of a deployment, as its keys in Redis."""

from clipzy_storage import keys
from clipzy_storage.guard.members import pinned_storage_id
from clipzy_storage.models.records import Queue
from clipzy_storage.redis_client import RedisDatabase


def broker_key(redis_url: str, name: str = Queue.INTERACTIVE) -> str:
    """The key of this name, by default that of the queue, for the deployment whose records are in this Redis."""
    with RedisDatabase(redis_url) as redis:
        return keys.broker_prefix(str(pinned_storage_id(redis))) + name
