"""`clipzy web`: checks settings, storage and guard, then serves the application until it is told to stop."""

import logging
import os
import signal

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from clipzy_api.concurrency_limits import THREADS
from clipzy_storage.config import logs
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError, StorageError
from clipzy_storage.guard import startup
from clipzy_storage.guard.startup import Registration
from clipzy_storage.redis_client import RedisDatabase

STOP_SECONDS = 3  # a client that is silent in the middle of its upload cannot hold up the end for longer
MEMBER_ID = "CLIPZY_MEMBER_ID"  # hands the membership from the main process, which keeps it, to the serving one
PARENT_PID = "CLIPZY_PARENT_PID"  # whom the serving process must not outlive, also where it is gone by then

log = logging.getLogger(__name__)


def serve(host: str, port: int, settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status.

    Starts although Redis is away, and is not ready until it is back. Raises ``ConfigurationError``, also later, when
    the guard refuses.
    """
    logs.configure(settings)
    refusals: list[str] = []

    def stop_refused(message: str) -> None:
        refusals.append(message)
        os.kill(os.getpid(), signal.SIGTERM)

    registration = startup.join_deployment(
        settings, RedisDatabase(settings.redis_url), role="web", on_refused=stop_refused, wait=False
    )
    os.environ[MEMBER_ID] = registration.member_id
    os.environ[PARENT_PID] = str(os.getpid())
    server = Granian(
        "clipzy_api.server.wsgi:application",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=1,  # so that memory stays small
        blocking_threads=THREADS,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        websockets=False,
        log_level=LogLevels.error,  # it warns of the number of threads at every start
    )
    try:
        server.serve()
    finally:
        if registration.heartbeats.stop():  # otherwise the storage hangs, and this would hang with it
            _discard_unfinished(registration)
        if refusals:
            raise ConfigurationError(refusals)
    return 0


def _discard_unfinished(registration: Registration) -> None:
    """Remove what the serving process was just receiving when it was stopped."""
    try:
        registration.storage.sweep_incomplete(0, of_writer=registration.member_id)
    except StorageError as error:
        log.warning("web.uploads_left: %s", error)
