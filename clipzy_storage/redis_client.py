"""How Clipzy reaches Redis, and how Redis' errors are told apart."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.client import Redis
from redis.retry import Retry

from clipzy_storage import keys
from clipzy_storage.config.urls import redacted
from clipzy_storage.errors import ConfigurationError, QueueUnavailable

ANSWER_SECONDS = 5.0
CONNECT_SECONDS = 2.0

_TRIES = 3
_JOB_SCRIPTS = Path(__file__).parent / "jobs" / "lua"


def connect(url: str, *, answer_seconds: float = ANSWER_SECONDS) -> "Redis":
    """A client with bounded waits. Connects at the first command; safe for threads and after a fork.

    A command is sent once more when its connection broke: every script of ours may run twice. One that was not answered
    within ``answer_seconds`` is not, so that a Redis that hangs costs this time once.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=answer_seconds,
        socket_connect_timeout=min(answer_seconds, CONNECT_SECONDS),
        socket_keepalive=True,
        health_check_interval=25,
        max_connections=200,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        decode_responses=True,
    )


def reach(client: "Redis") -> None:
    """Make sure that the next command finds a connection that is open already, so that only its answer can get lost.

    Raises ``redis`` errors where none can be had: then nothing was sent.
    """
    pool = client.connection_pool
    pool.release(pool.get_connection())


@contextmanager
def translated(*, certain: bool = False) -> Iterator[None]:
    """Turn redis' errors into ``QueueUnavailable``; ``certain`` says that a lost connection means nothing was done."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise QueueUnavailable(f"Redis cannot be reached ({type(error).__name__})", certain=certain) from error
    except redis.ResponseError as error:  # refused: full, read-only, loading, or a script's own fault
        raise QueueUnavailable(f"Redis refused: {str(error)[:200]}", certain=True) from error
    except redis.RedisError as error:
        raise QueueUnavailable(
            f"Redis answered what cannot be understood ({type(error).__name__})", certain=False
        ) from error


def check_server(name: str, url: str) -> None:
    """Ask the server that the setting ``name`` names whether it can ever serve us.

    Raises:
        ConfigurationError: it cannot: a wrong password or database, a cluster, something that is no Redis.
        QueueUnavailable: it is away.
    """
    wrong = f"{name}={redacted(url)}"
    try:
        info = _cluster_info(url)
    except redis.AuthenticationError as error:
        reason = "wants a password" if "HELLO" in str(error) else "refuses this user and password"
        raise ConfigurationError([f"{wrong} {reason}. Put the right ones into it."]) from error
    except redis.InvalidResponse as error:
        raise ConfigurationError([f"{wrong} answers, but not as a Redis. Point it at one."]) from error
    except redis.ResponseError as error:
        if "DB index" not in str(error):
            raise QueueUnavailable(f"Redis refused: {str(error)[:200]}", certain=True) from error
        raise ConfigurationError([f"{wrong} names a database that the server does not have. Use 0."]) from error
    except (redis.RedisError, OSError) as error:
        raise QueueUnavailable(f"Redis cannot be reached ({type(error).__name__})", certain=True) from error
    if info.get("cluster_enabled"):
        raise ConfigurationError([f"{wrong} is a Redis Cluster, which is not supported. Use a single server."])


def _cluster_info(url: str) -> Any:
    """Asks more than once, since what is no Redis may close the connection before its answer is read."""
    for _ in range(_TRIES - 1):
        with suppress(redis.ConnectionError), connect(url) as client:
            return client.info("cluster")
    with connect(url) as client:
        return client.info("cluster")


class Scripts:
    """The Lua scripts of one directory on one client, by name. Each runs after ``_shared.lua``, where there is one."""

    def __init__(self, client: "Redis", directory: Path) -> None:
        self._client = client
        self._directory = directory
        self._registered: dict[str, Any] = {}

    def run(self, name: str, *, prefix: str, args: list[str | int]) -> Any:
        """Run ``{name}.lua``. Raises ``redis`` errors, to be translated by the caller."""
        if name not in self._registered:
            self._registered[name] = self._client.register_script(_source(self._directory, name))
        return self._registered[name](keys=[prefix], args=args)


@cache
def _source(directory: Path, name: str) -> str:
    shared, script = directory / "_shared.lua", directory / f"{name}.lua"
    return (shared.read_text() if shared.exists() else "") + script.read_text()


class JobScripts:
    """One Redis, the prefix of our keys in it, and our scripts. Every method may raise ``QueueUnavailable``."""

    def __init__(
        self,
        redis_url: str,
        *,
        prefix: str = keys.REDIS_PREFIX,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._redis = connect(redis_url, answer_seconds=answer_seconds)
        self._scripts = Scripts(self._redis, _JOB_SCRIPTS)
        self._prefix = prefix

    def _key(self, job_id: str) -> str:
        return f"{self._prefix}job:{job_id}"

    def _run(self, script: str, *args: str | int) -> Any:
        with translated():
            return self._scripts.run(script, prefix=self._prefix, args=list(args))
