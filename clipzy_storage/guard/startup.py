"""What every process passes before it may work: settings, storage, Redis, guard, in this order."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import structlog

from clipzy_storage import redis_check
from clipzy_storage.backends import open_storage
from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.config.settings import DEFAULT_REDIS_URL, Settings
from clipzy_storage.errors import ConfigurationError
from clipzy_storage.guard.guard import Guard
from clipzy_storage.guard.heartbeat import FIRST_TRY_SECONDS, STOP_SECONDS, HeartbeatThreads
from clipzy_storage.guard.members import Role, new_member, new_member_id
from clipzy_storage.guard.mount_verifier import new_mount_verifier
from clipzy_storage.guard.refusals import Refused, refusal_by_settings
from clipzy_storage.redis_client import RedisDatabase

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class Registration:
    """A process in its deployment. ``heartbeats`` must be stopped at the end."""

    storage: StorageBackend
    member_id: str
    heartbeats: HeartbeatThreads


def join_deployment(
    settings: Settings,
    redis: RedisDatabase,
    *,
    role: Role,
    name: str,
    on_refused: Callable[[str], None],
    wait: bool,
    first_try_seconds: float = FIRST_TRY_SECONDS,
    stop_seconds: float = STOP_SECONDS,
) -> Registration:
    """Check everything and join the deployment.

    With ``wait`` this returns once storage and Redis answer and the guard admits this process; otherwise after the
    first try, and the threads go on trying. The other arguments are those of ``HeartbeatThreads``.

    Raises:
        ConfigurationError: the set-up is wrong; nothing of what was created here is left.
    """
    if refusal := refusal_by_settings(settings):
        raise ConfigurationError([refusal])
    _check_redis(settings)
    storage = open_storage(settings)
    member_id = new_member_id()

    prepare = cache(storage.prepare)

    def new_guard() -> Guard:
        """Called again while storage or Redis is unavailable."""
        storage_id = prepare()
        redis_check.check_records(settings)  # it may not have answered before
        member = new_member(settings, role=role, name=name, storage_id=storage_id, storage=storage.location)
        verifier = new_mount_verifier(settings, redis, storage, member_id=member_id)
        return Guard(redis, member, member_id=member_id, verifier=verifier)

    heartbeats = HeartbeatThreads(
        new_guard, on_refused=on_refused, first_try_seconds=first_try_seconds, stop_seconds=stop_seconds
    )
    try:
        heartbeats.start(wait=wait)
    except Refused as refused:
        _stop(heartbeats, storage)
        raise ConfigurationError([str(refused)]) from refused
    except BaseException:  # also a signal to stop during the wait
        _stop(heartbeats, storage)
        raise
    return Registration(storage, member_id, heartbeats)


def _stop(heartbeats: HeartbeatThreads, storage: StorageBackend) -> None:
    if heartbeats.stop():  # otherwise the storage hangs, and would block this call too
        storage.retract()


def _check_redis(settings: Settings) -> None:
    """Raise ``ConfigurationError`` if one cannot be used; one that does not answer now is waited for later."""
    for name, error in redis_check.check_settings(settings).items():
        url = settings.redis_urls()[name]
        log.warning("redis.unavailable", setting=name, url=str(url), reason=str(error))
        if str(url) == DEFAULT_REDIS_URL:
            log.warning("redis.default_url", data_dir=str(settings.data_dir))
