"""Proves, before a process joins, that Clipzy may do with a Redis all that it does with records and queue."""

import secrets
import ssl
from typing import Literal

from clipzy_storage import keys
from clipzy_storage.config.redis_url import RedisUrl, TlsOptions
from clipzy_storage.config.settings import DEFAULT_REDIS_URL, Settings
from clipzy_storage.errors import ConfigurationError, QueueRefused, QueueUnavailable
from clipzy_storage.redis_client import ANSWER_SECONDS, IS_CLUSTER, RedisDatabase, translated

Use = Literal["records", "broker"]

PREFIXES: dict[Use, str] = {"records": keys.REDIS_PREFIX, "broker": keys.BROKER_PREFIX}
# What each use sends, in a form that leaves nothing: KEY is a new key that the last command deletes again.
COMMANDS: dict[Use, tuple[str, ...]] = {
    "records": (
        "PING",
        "TIME",
        "EXISTS KEY",
        "GET KEY",
        "HGET KEY f",
        "HGETALL KEY",
        "HVALS KEY",
        "HMGET KEY f",
        "HEXISTS KEY f",
        "HLEN KEY",
        "SCARD KEY",
        "SMEMBERS KEY",
        "ZCARD KEY",
        "ZCOUNT KEY 0 0",
        "ZRANGE KEY 0 0",
        "ZRANGEBYSCORE KEY 0 0",
        "ZREVRANGE KEY 0 0",
        "ZREVRANGEBYSCORE KEY 0 0",
        "ZSCORE KEY m",
        "ZMSCORE KEY m",
        "ZRANK KEY m",
        "XREAD COUNT 1 STREAMS KEY 0",
        "XREVRANGE KEY + - COUNT 1",
        "HSET KEY f 1",
        "HSETNX KEY f 1",
        "HINCRBY KEY f 1",
        "HDEL KEY f",
        "SADD KEY m",
        "SREM KEY m",
        "ZADD KEY 1 m",
        "ZREMRANGEBYRANK KEY 0 0",
        "ZREMRANGEBYSCORE KEY 0 0",
        "ZREM KEY m",
        "XADD KEY * f 1",
        "DEL KEY",
        "INCR KEY",
        "INCRBY KEY 1",
        "SET KEY 1",
        "EXPIRE KEY 60",
        "PEXPIRE KEY 60000",
        "DEL KEY",
    ),
    "broker": (
        "PUBLISH KEY m",
        "HSET KEY f 1",
        "HGET KEY f",
        "HLEN KEY",
        "HDEL KEY f",
        "SADD KEY m",
        "SMEMBERS KEY",
        "SREM KEY m",
        "ZADD KEY 1 m",
        "ZRANGE KEY 0 0",
        "ZREVRANGEBYSCORE KEY 0 0",
        "ZREM KEY m",
        "LPUSH KEY m",
        "LLEN KEY",
        "RPOP KEY",
        "RPUSH KEY m",
        "BRPOP KEY 1",
        "SET KEY 1",
        "PEXPIRE KEY 60000",
        "DEL KEY",
    ),
}
_SCRIPT = "return 1"


def check_settings(settings: Settings) -> dict[str, QueueUnavailable]:
    """Check every configured Redis; returns those that do not answer now, by the setting that names each.

    Raises:
        ConfigurationError: with a line for each that cannot be used.
    """
    problems: list[str] = []
    absent: dict[str, QueueUnavailable] = {}
    for name, url in settings.redis_urls().items():
        try:
            check_server(name, url, uses=uses_of(settings, name))
        except ConfigurationError as error:
            problems += error.problems
        except QueueUnavailable as error:
            absent[name] = error
    if problems:
        raise ConfigurationError(problems)
    return absent


def check_records(settings: Settings) -> None:
    """Check the Redis of the records. Raises ``ConfigurationError``, ``QueueUnavailable``."""
    check_server("REDIS_URL", settings.redis_url, uses=uses_of(settings, "REDIS_URL"))


def check_broker(settings: Settings) -> None:
    """Check the Redis of the broker. Raises ``ConfigurationError``, ``QueueUnavailable``."""
    name = "CELERY_BROKER_URL" if settings.celery_broker_url else "REDIS_URL"
    check_server(name, settings.broker_url, uses=("broker",))


def way_to_a_redis(settings: Settings, name: str) -> str:
    """What an operator can do if the Redis of this setting does not answer; a sentence."""
    if name == "REDIS_URL" and settings.redis_url == RedisUrl.parse(DEFAULT_REDIS_URL):
        return "Start everything with `clipzy up`, which brings a Redis, or set REDIS_URL to a server."
    return f"Start it, or set {name} to its address."


def uses_of(settings: Settings, name: str) -> tuple[Use, ...]:
    """What the Redis of this setting is used for."""
    if name != "REDIS_URL":
        return ("broker",)
    return ("records",) if settings.celery_broker_url else ("records", "broker")


def check_server(name: str, url: RedisUrl, *, uses: tuple[Use, ...] = ("records", "broker")) -> None:
    """Check that Clipzy can use the server at ``url``, the value of the setting ``name``.

    Raises:
        ConfigurationError: it cannot: a wrong password or database, a missing right, a cluster, or not a Redis.
        QueueUnavailable: the server is unavailable now.
    """
    problem = _tls_problem(url.tls) if url.tls else None
    if problem:
        raise ConfigurationError([f"{name}={url} {problem}."])
    try:
        with RedisDatabase(url) as redis:
            if redis.cluster_info().get("cluster_enabled"):
                raise QueueRefused(IS_CLUSTER)
            check_rights(redis, uses=uses)
    except QueueRefused as error:
        raise ConfigurationError([f"{name}={url} {error.reason}."]) from error


def check_rights(redis: RedisDatabase, *, uses: tuple[Use, ...]) -> None:
    """Send every command that these uses need, and leave nothing. Raises ``QueueRefused``, ``QueueUnavailable``."""
    with translated(certain=True):
        sha = redis.client.script_load(_SCRIPT)
        redis.client.script_exists(sha)
        redis.client.evalsha(sha, 0)
    for use in uses:
        key = f"{PREFIXES[use]}rights:{secrets.token_hex(8)}"
        with translated(certain=True), redis.client.pipeline(transaction=True) as pipeline:
            pipeline.watch(key)
            pipeline.multi()
            for command in COMMANDS[use]:
                pipeline.execute_command(*(key if word == "KEY" else word for word in command.split()))
            pipeline.execute()
    if "broker" in uses:
        _subscribe(redis)


def _subscribe(redis: RedisDatabase) -> None:
    """As Celery's remote control does, which needs all channels: a pattern is allowed only literally."""
    with translated(certain=True), redis.client.pubsub() as channels:
        channels.psubscribe(f"{PREFIXES['broker']}rights")
        if channels.get_message(timeout=ANSWER_SECONDS) is None:
            raise QueueUnavailable("Redis does not confirm a subscription", certain=True)


def _tls_problem(tls: TlsOptions) -> str | None:
    """What is wrong with the files that the URL names."""
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if tls.ca_certs:
            context.load_verify_locations(tls.ca_certs)
        if tls.certfile or tls.keyfile:
            context.load_cert_chain(tls.certfile or "", tls.keyfile, password="")  # otherwise OpenSSL asks for one
    except ssl.SSLError:
        return "names a file of TLS that is not PEM, or a key that is encrypted or not that of its certificate"
    except OSError as error:
        return f"names a file of TLS that cannot be read ({error.strerror}): one of {', '.join(tls.files())}"
    return None
