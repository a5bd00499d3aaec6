"""`clipzy web`: checks settings, storage and guard, then serves the application until it is stopped.

The main process holds the membership in the deployment; granian's serving process answers requests under it.
"""

import os
import signal
import socket
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]  # re-exported
from granian.server import MPServer

from clipzy_api.concurrency_limits import THREADS
from clipzy_api.server import connection_limits
from clipzy_api.server.listening_socket import BACKLOG, bind, listen, url_of
from clipzy_storage.config import logs
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError, StorageError
from clipzy_storage.guard import startup
from clipzy_storage.guard.members import new_member_name
from clipzy_storage.guard.startup import Registration
from clipzy_storage.log_events import WEB_LISTENING
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.standard_streams import stop_signals

# A client that is silent in the middle of its upload cannot delay the stop for longer.
STOP_TIMEOUT_SECONDS = 3

# For a whole header, and for the next one on an open connection: somewhat more than 10 s, by which many clients poll.
HEADER_TIMEOUT_SECONDS = 10.5
# What the server holds of a header that has not ended, and of an answer that is not taken.
CONNECTION_BUFFER_BYTES = 256 << 10

# The main process hands these to the serving process in the environment.
MEMBER_ID_VARIABLE = "CLIPZY_MEMBER_ID"
MEMBER_NAME_VARIABLE = "CLIPZY_MEMBER_NAME"
PARENT_PID_VARIABLE = "CLIPZY_PARENT_PID"

# Granian would print its lines in a format of its own.
_LOG_TO_ROOT: dict[str, Any] = {
    "handlers": {},
    "loggers": {name: {"handlers": [], "propagate": True} for name in ("_granian", "granian.access")},
}

log = structlog.stdlib.get_logger(__name__)


def serve(host: str, port: int, settings: Settings) -> int:
    """Serve until SIGTERM, SIGINT or SIGHUP; returns the exit status.

    Starts even if Redis is unavailable, and is not ready until Redis answers. Raises ``PortUnavailable`` if another
    process listens there, and ``ConfigurationError`` if a setting is wrong, or when the guard refuses this front end,
    which may also happen while it serves.
    """
    name = new_member_name()
    logs.configure(settings, front_end=name)
    logs.log_prints()
    connection_limits.raise_descriptor_limit()
    bound = bind(host, port)
    refusals: list[str] = []

    def stop_refused(message: str) -> None:
        refusals.append(message)
        os.kill(os.getpid(), signal.SIGTERM)

    registration = startup.join_deployment(
        settings, RedisDatabase(settings.redis_url), role="web", name=name, on_refused=stop_refused, wait=False
    )
    os.environ[MEMBER_ID_VARIABLE] = registration.member_id
    os.environ[MEMBER_NAME_VARIABLE] = name
    os.environ[PARENT_PID_VARIABLE] = str(os.getpid())
    server = _Server(
        bound,
        target="clipzy_api.server.wsgi:application",
        interface=Interfaces.WSGI,
        factory=True,
        workers=1,  # saves memory
        http=HTTPModes.http1,  # over HTTP/2 a single connection could hold all slots
        http1_settings=HTTP1Settings(
            header_read_timeout=int(HEADER_TIMEOUT_SECONDS * 1000), max_buffer_size=CONNECTION_BUFFER_BYTES
        ),
        backlog=BACKLOG,
        backpressure=connection_limits.current().accepted,
        blocking_threads=THREADS,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_TIMEOUT_SECONDS,
        websockets=False,
        log_level=LogLevels.error,  # on a lower level it warns about the number of threads at every start
        log_dictconfig=_LOG_TO_ROOT,
    )
    # granian would restart its serving process at SIGHUP, even if nohup has that ignored.
    stops = signal.SIGHUP in stop_signals()
    server.signal_handler_reload = server.signal_handler_interrupt if stops else _ignore  # type: ignore[method-assign]
    try:
        server.serve()
    finally:
        if registration.heartbeats.stop():  # otherwise the storage hangs, and so would the sweep
            _discard_unfinished(registration)
        if refusals:
            raise ConfigurationError(refusals)
    return 0


class _Server(MPServer):
    """granian on our own socket: one that it opens shares its port with other processes, silently."""

    def __init__(self, bound: socket.socket, **options: Any) -> None:
        super().__init__(**options)
        self._bound = bound

    def _init_shared_socket(self) -> None:
        listen(self._bound)
        log.info(WEB_LISTENING, url=url_of(*self._bound.getsockname()[:2]))
        descriptor = self._bound.fileno()
        holder = SocketHolder(descriptor, False, self.backlog)  # type: ignore[call-arg]  # its stub has no arguments
        vars(self).update(_sso=self._bound, _sfd=descriptor, _shd=holder)


def _ignore(*_: object) -> None: ...


def _discard_unfinished(registration: Registration) -> None:
    """Delete the unfinished uploads of the serving process."""
    try:
        registration.storage.sweep_incomplete(0, of_writer=registration.member_id)
    except StorageError as error:
        log.warning("web.uploads_left_behind", reason=str(error))
