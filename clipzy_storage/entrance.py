"""What every process passes before it may work: settings, storage, Redis, guard, in this order."""

import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from clipzy_storage import guard, redis_client
from clipzy_storage.backends import open_storage
from clipzy_storage.base import Storage
from clipzy_storage.errors import ConfigurationError, QueueUnavailable, StorageUnavailable
from clipzy_storage.guard import Guard, Refused
from clipzy_storage.keeper import RETRY_SECONDS, Keeper
from clipzy_storage.settings import DEFAULT_REDIS_URL, Settings, redacted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Admission:
    """What a process holds once it is in. ``keeper`` is to be started, and stopped at the end."""

    name: str
    storage: Storage
    storage_id: str
    keeper: Keeper
    member_id: str


def enter(
    settings: Settings, *, role: Literal["worker", "web"], on_refused: Callable[[str], None], wait: bool
) -> Admission:
    """Check everything and join the deployment.

    With ``wait`` this returns once Redis answers and the guard admits us; without, where they do not yet, the keeper
    goes on trying once it is started.

    Raises:
        ConfigurationError: the set-up is wrong; nothing of what was created here is left.
    """
    if refusal := guard.refusal_by_settings(settings):
        raise ConfigurationError([refusal])
    storage = open_storage(settings)
    storage_id = _prove(storage)
    name = f"{socket.gethostname()}-{os.urandom(3).hex()}"
    member_id = guard.new_member_id()
    member = guard.new_member(settings, role=role, name=name, storage_id=storage_id)
    keeper = Keeper(Guard(settings.redis_url, member, member_id=member_id), on_refused=on_refused)
    try:
        _check_redis(settings)
        keeper.join(wait=wait)
    except Refused as refused:
        storage.retract()
        raise ConfigurationError([str(refused)]) from refused
    except BaseException:  # a wrong password, or told to stop while it waited
        storage.retract()
        raise
    return Admission(name, storage, storage_id, keeper, member_id)


def _prove(storage: Storage) -> str:
    """Wait for a store that does not answer yet; that is no mistake of the settings."""
    while True:
        try:
            return storage.prepare()
        except StorageUnavailable as error:
            log.warning("storage.away: %s; waiting for it", error)
            time.sleep(RETRY_SECONDS)


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
