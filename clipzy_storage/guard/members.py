"""The members of a deployment, as Redis lists them."""

import os
import socket
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from clipzy_storage.config.settings import Settings
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.redis_client import RedisDatabase, translated

HEARTBEAT_WINDOW_SECONDS = 30
"""A member whose last heartbeat is older has expired."""

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
        redis.client.delete(*(redis.key(f"guard:{name}") for name in ("members", "beats", "joined")))
        redis.client.set(redis.key("guard:since"), 0)
        redis.client.set(redis.key("guard:fresh-run"), server["run_id"])


def live_members(redis: RedisDatabase, *, window_seconds: float = HEARTBEAT_WINDOW_SECONDS) -> dict[str, Member]:
    """The members whose last heartbeat is younger than the window, by member id. Raises ``QueueUnavailable``."""
    with translated():
        seconds, _ = redis.client.time()
        ids = redis.client.zrangebyscore(redis.key("guard:beats"), (seconds - window_seconds) * 1000, "+inf")
        texts = redis.client.hmget(redis.key("guard:members"), ids) if ids else []
    return {one: Member.model_validate_json(text) for one, text in zip(ids, texts, strict=True) if text}


def pinned_storage_id(redis: RedisDatabase) -> str | None:
    """The id of the storage that this Redis belongs to, if any. Raises ``QueueUnavailable``."""
    with translated():
        pinned: str | None = redis.client.get(redis.key("guard:storage-id"))
    return pinned
