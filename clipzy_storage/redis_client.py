"""The connection to Redis, and its errors as our own."""

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

_CHECK_ATTEMPTS = 3


def _connect(url: str, *, answer_seconds: float = ANSWER_SECONDS) -> "Redis":
    """A client with bounded waits. Connects at the first command; safe for threads and after a fork.

    A command is sent once more if its connection broke: all our scripts may run twice. It is not repeated after
    ``answer_seconds`` without a response, so that a Redis that hangs costs this time once.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=answer_seconds,
        socket_connect_timeout=min(answer_seconds, CONNECT_SECONDS),
        socket_keepalive=True,
        health_check_interval=25,
        max_connections=200,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        driver_info=None,  # saves two round trips per connection, when a burst of requests opens many
        decode_responses=True,
    )


@contextmanager
def translated(*, certain: bool = False) -> Iterator[None]:
    """Raise errors of redis as ``QueueUnavailable``; with ``certain`` a lost connection means that nothing was done."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise QueueUnavailable(f"Redis cannot be reached ({type(error).__name__})", certain=certain) from error
    except redis.ResponseError as error:  # full, read-only, loading, or an error in a script
        raise QueueUnavailable(f"Redis refused: {str(error)[:200]}", certain=True) from error
    except redis.RedisError as error:
        raise QueueUnavailable(f"Redis sent an invalid response ({type(error).__name__})", certain=False) from error


def check_server(name: str, url: str) -> None:
    """Check that Clipzy can use the server at ``url``, the value of the setting ``name``.

    Raises:
        ConfigurationError: it cannot: a wrong password or database, a cluster, or not a Redis.
        QueueUnavailable: the server is unavailable now.
    """
    wrong = f"{name}={redacted(url)}"
    try:
        info = _cluster_info(url)
    except redis.AuthenticationError as error:
        needs_password = "HELLO" in str(error)
        reason = "requires a password. Add it to" if needs_password else "refuses this user and password. Correct"
        raise ConfigurationError([f"{wrong} {reason} the URL."]) from error
    except redis.InvalidResponse as error:
        raise ConfigurationError([f"{wrong} is not a Redis server. Set it to the URL of one."]) from error
    except redis.ResponseError as error:
        if "DB index" not in str(error):
            raise QueueUnavailable(f"Redis refused: {str(error)[:200]}", certain=True) from error
        raise ConfigurationError([f"{wrong} names a database that the server does not have. Use 0."]) from error
    except (redis.RedisError, OSError) as error:
        raise QueueUnavailable(f"Redis cannot be reached ({type(error).__name__})", certain=True) from error
    if info.get("cluster_enabled"):
        raise ConfigurationError([f"{wrong} is a Redis Cluster, which is not supported. Use a single server."])


def _cluster_info(url: str) -> Any:
    """Tries again, since a server that is not a Redis may close the connection before its response is read."""
    for _ in range(_CHECK_ATTEMPTS - 1):
        with suppress(redis.ConnectionError), _connect(url) as client:
            return client.info("cluster")
    with _connect(url) as client:
        return client.info("cluster")


class RedisDatabase:
    """One Redis: a connection pool, the prefix of our keys, and our Lua scripts.

    Each process makes one and passes it to everything that works with Redis. Safe for threads and after a fork.
    A context manager: the connections are closed at the end.
    """

    def __init__(self, url: str, *, prefix: str = keys.REDIS_PREFIX, answer_seconds: float = ANSWER_SECONDS) -> None:
        """``answer_seconds`` bounds the wait for each response."""
        self.client: Any = _connect(url, answer_seconds=answer_seconds)
        self.prefix = prefix
        self._scripts: dict[Path, Any] = {}

    def key(self, name: str) -> str:
        """The full name of one of our keys in this Redis."""
        return self.prefix + name

    def run(self, script: Path, *args: str | int) -> Any:
        """Run a Lua script, preceded by the ``_shared.lua`` next to it if there is one. Raises ``QueueUnavailable``."""
        if script not in self._scripts:
            self._scripts[script] = self.client.register_script(_source(script))
        with translated():
            return self._scripts[script](keys=[self.prefix], args=list(args))

    def connect(self) -> None:
        """Open a connection, so that only the response of the next command can get lost.

        Raises ``QueueUnavailable``, certainly before anything was sent.
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
