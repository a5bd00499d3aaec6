"""What every process passes before it may work: settings, storage, Redis, guard, in this order."""

import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from clipzy_storage import redis_client
from clipzy_storage.backends import open_storage
from clipzy_storage.backends.base import StorageBackend, StorageLifecycle
from clipzy_storage.config.settings import DEFAULT_REDIS_URL, Settings
from clipzy_storage.config.urls import redacted
from clipzy_storage.errors import ConfigurationError, QueueUnavailable
from clipzy_storage.guard import guard
from clipzy_storage.guard.guard import Guard, Refused
from clipzy_storage.guard.heartbeat import HeartbeatThreads
from clipzy_storage.guard.members import new_member, new_member_id
from clipzy_storage.guard.mount_verifier import new_mount_verifier
from clipzy_storage.redis_client import RedisDatabase

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Admission:
    """What a process holds once it is in. ``keeper`` is to be stopped at the end."""

    name: str
    storage: StorageBackend
    keeper: HeartbeatThreads
    member_id: str


def join_deployment(
    settings: Settings,
    redis: RedisDatabase,
    *,
    role: Literal["worker", "web"],
    on_refused: Callable[[str], None],
    wait: bool,
) -> Admission:
    """Check everything and join the deployment.

    With ``wait`` this returns once storage and Redis answer and the guard admits us; without, where they do not yet,
    the keeper goes on trying.

    Raises:
        ConfigurationError: the set-up is wrong; nothing of what was created here is left.
    """
    if refusal := guard.refusal_by_settings(settings):
        raise ConfigurationError([refusal])
    _check_redis(settings)
    storage = open_storage(settings)
    name = f"{socket.gethostname()}-{os.urandom(3).hex()}"
    member_id = new_member_id()

    def prove() -> Guard:
        storage_id = storage.prepare()
        member = new_member(settings, role=role, name=name, storage_id=storage_id, storage=storage.location)
        prover = new_mount_verifier(settings, redis, storage, member_id=member_id)
        return Guard(redis, member, member_id=member_id, prover=prover)

    keeper = HeartbeatThreads(prove, on_refused=on_refused)
    try:
        keeper.enter(wait=wait)
    except Refused as refused:
        _withdraw(keeper, storage)
        raise ConfigurationError([str(refused)]) from refused
    except BaseException:  # told to stop while it waited
        _withdraw(keeper, storage)
        raise
    return Admission(name, storage, keeper, member_id)


def _withdraw(keeper: HeartbeatThreads, storage: StorageLifecycle) -> None:
    if keeper.stop():  # otherwise the storage hangs, and this would hang with it
        storage.retract()


def _check_redis(settings: Settings) -> None:
    for name, url in settings.redis_urls().items():
        try:
            redis_client.check_server(name, url)
        except QueueUnavailable:
            log.warning("redis.away: no answer from %s=%s; waiting for it", name, redacted(url))
            if url == DEFAULT_REDIS_URL:
                log.warning(
                    "redis.hint: REDIS_URL is not set and no `clipzy up` runs from %s. If one runs in another folder,"
                    " start this process there, or set CLIPZY_DATA_DIR or REDIS_URL.",
                    settings.data_dir,
                )
