"""`clipzy up`: the whole service on one machine."""

import contextlib
import http.client
import os
import sys
from functools import partial

import click
import structlog
from pydantic import BaseModel, ValidationError

from clipzy_api.authentication import require_choice
from clipzy_api.cli.embedded_redis import EmbeddedRedis
from clipzy_api.cli.supervisor import Child, Signals, Supervisor
from clipzy_api.server.listening_socket import bind, url_of
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError
from clipzy_storage.log_events import SUPERVISOR_READY

READY_TIMEOUT_SECONDS = 5.0
STOP_TIMEOUT_SECONDS = 40.0

log = structlog.stdlib.get_logger(__name__)


class _Readiness(BaseModel):
    """What ``up`` reads of ``/readyz``."""

    live_workers: int | None = None


def up(host: str, port: int, *, workers: int | None) -> int:
    """Run front end, workers and, if ``REDIS_URL`` is unset, a Redis, until a signal asks to stop.

    Returns the exit status: 0, or 78 if a child reported a wrong setting. No process is left running.

    Raises:
        ConfigurationError: a setting is wrong, or missing for this address; nothing was started.
        PortUnavailable: another process listens on the port.
        click.ClickException: Redis does not start.
    """
    settings = settings_from_env()
    require_choice(host, settings)
    worker_count = workers or settings.worker_count
    env = child_environment(settings, worker_count=worker_count)
    port = free_port(host, port)
    with Signals() as signals, contextlib.ExitStack() as stack:
        supervisor = Supervisor(signals)
        if not env.get("REDIS_URL", "").strip():
            server = EmbeddedRedis(settings.data_dir)
            env["REDIS_URL"] = stack.enter_context(server)
            supervisor.watch(server.child)
        return _serve(supervisor, host, port, worker_count=worker_count, env=env, settings=settings)


def _serve(
    supervisor: Supervisor, host: str, port: int, *, worker_count: int, env: dict[str, str], settings: Settings
) -> int:
    clipzy = [sys.executable, "-P", "-m", "clipzy_api.cli"]
    web = Child("web", [*clipzy, "web", "--host", host, "--port", str(port)], env=env)
    workers = [Child(f"worker {number}", [*clipzy, "worker"], env=env) for number in range(1, worker_count + 1)]
    try:
        for child in (web, *workers):
            child.start()
            supervisor.watch(child)
        status = supervisor.run(until=partial(_is_ready, host, port, worker_count=worker_count))
        if status is None:
            _announce(url_of(host, port), settings)
            status = supervisor.run()
        if settings.drain == "wait" and not status:
            supervisor.stop([web], grace_seconds=STOP_TIMEOUT_SECONDS)
            supervisor.drain(workers)  # if a signal ended the drain, the second SIGTERM below hurries them
        return status or 0
    finally:
        supervisor.stop([web], grace_seconds=STOP_TIMEOUT_SECONDS)
        supervisor.stop(workers, grace_seconds=STOP_TIMEOUT_SECONDS)


def child_environment(settings: Settings, *, worker_count: int) -> dict[str, str]:
    """The environment of front end and workers; with LOCAL_STORAGE_SHARED for several workers, which share a disk.

    Raises:
        ConfigurationError: that contradicts another setting, or the storage directory cannot be created.
    """
    env = {**os.environ, "WORKER_COUNT": str(worker_count)}
    if worker_count > 1 and settings.storage_type == "local" and not settings.local_storage_shared:
        try:
            settings.local_storage_path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                [f"LOCAL_STORAGE_PATH={settings.local_storage_path} cannot be created: {error.strerror}."]
            ) from error
        env["LOCAL_STORAGE_SHARED"] = "true"
        settings_from_env(env)
    return env


def free_port(host: str, port: int) -> int:
    """The port, which was free a moment ago; a free one for 0. Raises ``PortUnavailable``."""
    with bind(host, port) as bound:
        return int(bound.getsockname()[1])


def _is_ready(host: str, port: int, *, worker_count: int) -> bool:
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=READY_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        readiness = _Readiness.model_validate_json(answer.read())
    except (OSError, http.client.HTTPException, ValidationError):
        return False
    finally:
        connection.close()
    return answer.status == 200 and (readiness.live_workers or 0) >= worker_count


def _reachable(host: str) -> str:
    """The address at which this machine reaches a server that listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _announce(url: str, settings: Settings) -> None:
    message = f"Clipzy is ready at {url} (web page; its API is below /api/v1)"
    if settings.log_format == "json":
        log.info(SUPERVISOR_READY, url=url, message=message)
    else:
        click.echo(message)
