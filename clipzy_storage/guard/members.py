"""The members of a deployment, as Redis lists them."""

import os
import random
import socket
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from clipzy_storage.config.settings import Settings
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.redis_client import RedisDatabase, translated

HEARTBEAT_WINDOW_SECONDS = 30
"""A member whose last heartbeat is older has expired."""

_LISTINGS = ("members", "beats", "joined", "workers", "exclusive")

Role = Literal["worker", "web"]
ROLES: dict[Role, str] = {"worker": "worker", "web": "front end"}


class Member(BaseModel):
    """One process of the deployment, as it describes itself in Redis."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    name: str
    role: Role
    storage_id: str
    storage: str
    """Where its files are, for messages."""
    exclusive: bool = Field(alias="alone")
    """Tolerates no other worker: its storage is local and not declared shared."""
    process: ProcessIdentity
    queues: tuple[str, ...] = ()
    """The queues whose jobs a worker takes; none of a front end."""
    slots: int = 0
    """How many jobs a worker runs at a time; none of a front end."""
    webhooks: bool = False
    """Whether it has secrets for webhooks: a front end accepts them then, and a worker delivers to them."""

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True)

    def __str__(self) -> str:
        where = f"process {self.process.pid} on {self.process.host}, storage {self.storage}"
        return f"{ROLES[self.role]} {self.name} ({where})"


def new_member(settings: Settings, *, role: Role, name: str, storage_id: str, storage: str) -> Member:
    """This process, as it joins."""
    local = settings.storage_type == "local"
    return Member(
        name=name,
        role=role,
        storage_id=storage_id,
        storage=storage,
        exclusive=local and not settings.local_storage_shared,
        process=ProcessIdentity.own(),
        queues=settings.worker_queues if role == "worker" else (),
        slots=settings.max_concurrent_jobs if role == "worker" else 0,
        webhooks=bool(settings.webhook_secrets),
    )


def new_member_id() -> str:
    return os.urandom(8).hex()


def new_member_name() -> str:
    """A name for people, by the host."""
    return f"{socket.gethostname()}-{os.urandom(3).hex()}"


def open_fresh(redis: RedisDatabase) -> None:
    """Record that this Redis server was just started with a password that no other process can know.

    So no other process can be connected to it, members left in its records have expired, and joining processes need not
    wait for them. Raises ``QueueUnavailable``.
    """
    with translated():
        server = redis.client.info("server")
        texts: Any = redis.client.hvals(redis.key("guard:members"))
        hosts = {f"host:{Member.model_validate_json(text).process.host}" for text in texts}
        redis.client.delete(*(redis.key(f"guard:{name}") for name in (*_LISTINGS, *hosts)))
        redis.client.set(redis.key("guard:since"), 0)
        redis.client.set(redis.key("guard:fresh-run"), server["run_id"])


def live_members(redis: RedisDatabase, *, window_seconds: float = HEARTBEAT_WINDOW_SECONDS) -> dict[str, Member]:
    """The members whose last heartbeat is younger than the window, by member id. Raises ``QueueUnavailable``."""
    return _live(redis, "guard:beats", window_seconds)


def live_workers(redis: RedisDatabase, *, window_seconds: float = HEARTBEAT_WINDOW_SECONDS) -> dict[str, Member]:
    """Those of them that are workers. Raises ``QueueUnavailable``."""
    return _live(redis, "guard:workers", window_seconds)


def members_on(redis: RedisDatabase, host: str) -> dict[str, Member]:
    """The members of one machine, live or not, by member id. Raises ``QueueUnavailable``."""
    with translated():
        ids: Any = redis.client.smembers(redis.key(f"guard:host:{host}"))
        return _described(redis, sorted(ids))


def some_members(
    redis: RedisDatabase,
    *,
    count: int,
    older_than: str = "",
    window_seconds: float = HEARTBEAT_WINDOW_SECONDS,
) -> dict[str, Member]:
    """At most ``count`` live members, by member id, chosen at random; with ``older_than`` of those that joined before.

    Costs the same however many there are. Raises ``QueueUnavailable``.
    """
    joined = redis.key("guard:joined")
    with translated():
        rank: Any = redis.client.zrank(joined, older_than)
        total: int = redis.client.zcard(joined) if rank is None else rank
        pipeline = redis.client.pipeline(transaction=False)
        for place in random.sample(range(total), min(count, total)):
            pipeline.zrange(joined, place, place)
        ids = [one for found in pipeline.execute() for one in found]
    return still_live(redis, ids, window_seconds=window_seconds)


def still_live(redis: RedisDatabase, ids: Sequence[str], *, window_seconds: float) -> dict[str, Member]:
    """Those of the members whose last heartbeat is younger than the window. Raises ``QueueUnavailable``."""
    if not ids:
        return {}
    with translated():
        seconds, _ = redis.client.time()
        heartbeats: Any = redis.client.zmscore(redis.key("guard:beats"), ids)
        expired_at = (seconds - window_seconds) * 1000
        live = [one for one, at in zip(ids, heartbeats, strict=True) if at is not None and at >= expired_at]
        return _described(redis, live)


def count_live_workers(redis: RedisDatabase, *, window_seconds: float = HEARTBEAT_WINDOW_SECONDS) -> int:
    """The workers whose last heartbeat is younger than the window. Raises ``QueueUnavailable``."""
    with translated():
        seconds, _ = redis.client.time()
        return int(redis.client.zcount(redis.key("guard:workers"), (seconds - window_seconds) * 1000, "+inf"))


def pinned_storage_id(redis: RedisDatabase) -> str | None:
    """The id of the storage that this Redis belongs to, if any. Raises ``QueueUnavailable``."""
    with translated():
        pinned: str | None = redis.client.get(redis.key("guard:storage-id"))
    return pinned


def _live(redis: RedisDatabase, listing: str, window_seconds: float) -> dict[str, Member]:
    with translated():
        seconds, _ = redis.client.time()
        ids = redis.client.zrangebyscore(redis.key(listing), (seconds - window_seconds) * 1000, "+inf")
        return _described(redis, ids)


def _described(redis: RedisDatabase, ids: Sequence[str]) -> dict[str, Member]:
    texts: Any = redis.client.hmget(redis.key("guard:members"), ids) if ids else []
    return {one: Member.model_validate_json(text) for one, text in zip(ids, texts, strict=True) if text}
