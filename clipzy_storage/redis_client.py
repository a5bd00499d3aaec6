"""How Clipzy reaches Redis, and how Redis' errors are told apart."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

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


class RedisDatabase:
    """One Redis: a connection pool, the prefix of our keys, and our Lua scripts.

    Made once by each process, at its edge, and passed to all that work with Redis. Safe for threads and after a fork.
    With ``with`` the connections are closed at the end.
    """

    def __init__(self, url: str, *, prefix: str = keys.REDIS_PREFIX, answer_seconds: float = ANSWER_SECONDS) -> None:
        """``answer_seconds`` bounds the wait for each answer."""
        self.client: Any = connect(url, answer_seconds=answer_seconds)
        self.prefix = prefix
        self._scripts: dict[Path, Any] = {}

    def key(self, name: str) -> str:
        """The name of a key of ours in this Redis."""
        return self.prefix + name

    def run(self, script: Path, *args: str | int) -> Any:
        """Run a Lua script, after the ``_shared.lua`` beside it where there is one. Raises ``QueueUnavailable``."""
        if script not in self._scripts:
            self._scripts[script] = self.client.register_script(_source(script))
        with translated():
            return self._scripts[script](keys=[self.prefix], args=list(args))

    def connect(self) -> None:
        """Have a connection open, so that of the next command only the answer can get lost.

        Raises ``QueueUnavailable`` where there is none to be had: then nothing was sent.
        """
        with translated(certain=True):
            pool = self.client.connection_pool
            pool.release(pool.get_connection())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()


@cache
def _source(script: Path) -> str:
    shared = script.with_name("_shared.lua")
    return (shared.read_text() if shared.exists() else "") + script.read_text()
