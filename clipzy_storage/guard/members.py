"""Who is in a deployment: its members as Redis lists them, and how an onlooker asks for them."""

import json
import os
from dataclasses import dataclass
from typing import Any, Literal, Self

from clipzy_storage.config.settings import Settings
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.redis_client import RedisDatabase, translated

WINDOW_SECONDS = 30  # a member that has been silent for so long is dead
ROLES = {"worker": "worker", "web": "front end"}


@dataclass(frozen=True)
class Member:
    """One process of the deployment, as it has told Redis of itself."""

    name: str
    role: Literal["worker", "web"]
    storage_id: str
    storage: str
    alone: bool  # tolerates no other worker: its storage is local and not declared shared
    process: dict[str, Any]

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))

    @property
    def identity(self) -> ProcessIdentity:
        return ProcessIdentity.from_dict(self.process)

    def __str__(self) -> str:
        where = f"process {self.identity.pid} on {self.identity.host}, storage {self.storage}"
        return f"{ROLES[self.role]} {self.name} ({where})"


def new_member(
    settings: Settings, *, role: Literal["worker", "web"], name: str, storage_id: str, storage: str
) -> Member:
    """This process, as it joins; ``storage`` is where its files are, for messages."""
    local = settings.storage_type == "local"
    return Member(
        name=name,
        role=role,
        storage_id=storage_id,
        storage=storage,
        alone=local and not settings.local_storage_shared,
        process=ProcessIdentity.own().as_dict(),
    )


def open_fresh(redis: RedisDatabase) -> None:
    """Tell the guard that this server has just been started with a password that no other process can know.

    So no other process can be connected to it, members left in its records are dead, and joining processes need not
    wait for them. Raises ``QueueUnavailable``.
    """
    with translated():
        server = redis.client.info("server")
        redis.client.delete(*(redis.key(f"guard:{name}") for name in ("members", "beats", "joined")))
        redis.client.set(redis.key("guard:since"), 0)
        redis.client.set(redis.key("guard:fresh-run"), server["run_id"])


def live_members(redis: RedisDatabase, *, window_seconds: float = WINDOW_SECONDS) -> dict[str, Member]:
    """The members whose last heartbeat is younger than the window, by member id. Raises ``QueueUnavailable``."""
    with translated():
        seconds, _ = redis.client.time()
        ids = redis.client.zrangebyscore(redis.key("guard:beats"), (seconds - window_seconds) * 1000, "+inf")
        texts = redis.client.hmget(redis.key("guard:members"), ids) if ids else []
    return {one: Member.from_json(text) for one, text in zip(ids, texts, strict=True) if text}


def pinned_storage_id(redis: RedisDatabase) -> str | None:
    """The id of the storage that this Redis belongs to, if any. Raises ``QueueUnavailable``."""
    with translated():
        pinned: str | None = redis.client.get(redis.key("guard:storage-id"))
    return pinned


def new_member_id() -> str:
    return os.urandom(8).hex()
