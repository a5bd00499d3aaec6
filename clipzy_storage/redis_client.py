"""The connection to Redis, and its errors as our own."""

import re
import ssl
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
from clipzy_storage.config.redis_url import RedisUrl
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import QueueRefused, QueueUnavailable, ScriptFailed

ANSWER_SECONDS = 5.0
MAX_CONNECTIONS = 600
"""Of one process: more than a front end has threads, each of which may ask at the same moment."""
CONNECT_SECONDS = 2.0

IS_CLUSTER = "is a Redis Cluster, which is not supported. Use a single server"

_INFO_ATTEMPTS = 3
_TEMPORARY = {"BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN"}
"""Codes of errors that pass without an operator: the server is starting, failing over, full or busy."""
_CLUSTER = {"ASK", "CLUSTERDOWN", "CROSSSLOT", "MOVED"}
_OF_SCRIPT = re.compile(r"user_script|Error (?:running|compiling) script|script: ")
# What redis-py and the server put before the error of one command among several.
_OF_ONE_OF_SEVERAL = re.compile(r".* of pipeline caused error: |.*discarded because of: ")


def _connect(url: RedisUrl, *, answer_seconds: float) -> "Redis":
    """A client with bounded waits. Connects at the first command; safe for threads and after a fork.

    A command is sent once more if its connection broke: all our scripts may run twice. It is not repeated after
    ``answer_seconds`` without a response, so that a Redis that hangs costs this time once.
    """
    return redis.Redis(
        **_place(url),
        db=url.db,
        username=url.username,
        password=url.password,
        socket_timeout=answer_seconds,
        socket_connect_timeout=min(answer_seconds, CONNECT_SECONDS),
        socket_keepalive=True,
        health_check_interval=25,
        max_connections=MAX_CONNECTIONS,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        driver_info=None,  # saves two round trips per connection, when a burst of requests opens many
        decode_responses=True,
    )


def _place(url: RedisUrl) -> dict[str, Any]:
    if url.socket_path:
        return {"unix_socket_path": url.socket_path}
    return {"host": url.host, "port": url.port, **({"ssl": True, **url.tls.as_options()} if url.tls else {})}


@contextmanager
def translated(*, certain: bool = False) -> Iterator[None]:
    """Raise errors of redis as ours; with ``certain`` a lost connection means that nothing was done.

    Raises:
        QueueRefused: only an operator can help.
        QueueUnavailable: Redis is out of reach or not ready; it passes.
        ScriptFailed: a script is wrong.
    """
    try:
        yield
    except redis.RedisError as error:
        raise _as_ours(error, certain=certain) from error


def _as_ours(error: redis.RedisError, *, certain: bool) -> Exception:
    code, text = _code_and_text(error)
    in_script = _OF_SCRIPT.search(text) is not None
    if code not in _TEMPORARY and (reason := _refusal(error, code, text)):
        done_nothing = not in_script and not isinstance(error, redis.InvalidResponse)
        return QueueRefused(reason, certain=done_nothing)
    if isinstance(error, redis.ResponseError | redis.BusyLoadingError):
        if in_script and code not in _TEMPORARY and "SCRIPT KILL" not in text:
            return ScriptFailed(f"a script failed in Redis: {code} {text}")
        return QueueUnavailable(f"Redis refused ({code}): {text}", certain=True)
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return QueueUnavailable(f"Redis cannot be reached ({type(error).__name__})", certain=certain)
    return QueueUnavailable(f"Redis sent an invalid response ({type(error).__name__})", certain=False)


def _code_and_text(error: redis.RedisError) -> tuple[str, str]:
    """The first word of the server's answer, and the rest; redis-py has removed words that it knows from the text."""
    text = _OF_ONE_OF_SEVERAL.sub("", str(error))[:200]
    code = error.status_code
    if code in (None, "EXECABORT"):
        code, _, text = text.partition(" ")
    return code or "", text


def _refusal(error: redis.RedisError, code: str, text: str) -> str | None:
    """Why only an operator can help, if that is so."""
    if isinstance(error, redis.AuthenticationError):
        if code == "NOAUTH":
            return "requires a password. Add it to the URL"
        return "refuses this user and password. Correct the URL"
    if code == "NOPERM" or "ACL failure in script" in text or "without MULTI" in text:
        return f"denies a right ({text.partition(' script: ')[0]}). Grant its user the rights in docs/deploy.md"
    if "DB index" in text or "SELECT is not allowed" in text:
        return "refuses a database that the server does not have. Use 0"
    if code in _CLUSTER:
        return IS_CLUSTER
    if "unknown command" in text.lower():
        return f"lacks a command that Clipzy needs ({text}). Use another server"
    if isinstance(error, redis.InvalidResponse):
        return "is not a Redis server. Set the URL of one"
    return _untrusted(error)


def _untrusted(error: BaseException | None) -> str | None:
    """What is wrong with the server's TLS, if that is why no connection was made."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"has a certificate that cannot be trusted ({error.verify_message}). Set ssl_ca_certs in the URL"
        if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            return "does not speak TLS. Write redis:// instead of rediss://"
        error = error.__cause__ or error.__context__
    return None


class RedisDatabase:
    """One Redis: a connection pool, the prefix of our keys, and our Lua scripts.

    Each process makes one and passes it to everything that works with Redis. Safe for threads and after a fork.
    A context manager: the connections are closed at the end.
    """

    def __init__(
        self, url: RedisUrl | str, *, prefix: str = keys.REDIS_PREFIX, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        """``answer_seconds`` bounds the wait for each response. Raises ``BadRedisUrl``."""
        parsed = RedisUrl.parse(url) if isinstance(url, str) else url
        self.client: Any = _connect(parsed, answer_seconds=answer_seconds)
        self.prefix = prefix
        self._scripts: dict[Path, Any] = {}

    def key(self, name: str) -> str:
        """The full name of one of our keys in this Redis."""
        return self.prefix + name

    def run(self, script: Path, *args: str | int) -> Any:
        """Run a Lua script, preceded by the ``_shared.lua`` next to it if there is one.

        Raises ``QueueUnavailable``, ``ScriptFailed``.
        """
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

    def cluster_info(self) -> dict[str, Any]:
        """Raises ``QueueUnavailable``.

        Tries again, since a server that is not a Redis may close the connection before its response is read.
        """
        with translated(certain=True):
            for _ in range(_INFO_ATTEMPTS - 1):
                with suppress(redis.ConnectionError):
                    return dict(self.client.info("cluster"))
            return dict(self.client.info("cluster"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()


def used_memory_bytes(redis: RedisDatabase) -> int:
    """What the whole server uses. Raises ``QueueUnavailable``."""
    with translated():
        return int(redis.client.info("memory")["used_memory"])


def broker_of(settings: Settings, records: RedisDatabase, *, answer_seconds: float = ANSWER_SECONDS) -> RedisDatabase:
    """The Redis of the queue, which is that of the ``records`` unless CELERY_BROKER_URL names another."""
    if settings.broker_url == settings.redis_url:
        return records
    return RedisDatabase(settings.broker_url, answer_seconds=answer_seconds)


@cache
def _source(script: Path) -> str:
    shared = script.with_name("_shared.lua")
    return (shared.read_text() if shared.exists() else "") + script.read_text()
