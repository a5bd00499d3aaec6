"""Who is in a deployment: its members as Redis lists them, and how an onlooker asks for them."""

import json
import os
from dataclasses import dataclass
from typing import Any, Literal, Self

from clipzy_storage import keys, redis_client
from clipzy_storage.config.settings import Settings
from clipzy_storage.process import ProcessIdentity

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


def open_fresh(redis_url: str, *, prefix: str = keys.REDIS_PREFIX) -> None:
    """Tell the guard that this server has just been started with a password that nobody else can know.

    So nobody else can be on it, members left in its records are dead, and newcomers need not wait for them.
    """
    client = redis_client.connect(redis_url)
    with redis_client.translated(), client:
        server: Any = client.info("server")
        client.delete(f"{prefix}guard:members", f"{prefix}guard:beats", f"{prefix}guard:joined")
        client.set(f"{prefix}guard:since", 0)
        client.set(f"{prefix}guard:fresh-run", server["run_id"])


def live_members(redis_url: str, *, prefix: str = keys.REDIS_PREFIX) -> list[Member]:
    """Who is there, for an onlooker that does not join. Raises ``QueueUnavailable``."""
    return list(live_members_by_id(redis_url, prefix=prefix).values())


def live_members_by_id(redis_url: str, *, prefix: str = keys.REDIS_PREFIX) -> dict[str, Member]:
    """The same, by the ids under which they answer. Raises ``QueueUnavailable``."""
    client = redis_client.connect(redis_url)
    with redis_client.translated(), client:
        return live_members_of(client, prefix, window_seconds=WINDOW_SECONDS)


def pinned_storage_id(redis_url: str, *, prefix: str = keys.REDIS_PREFIX) -> str | None:
    """The storage that this Redis belongs to, if any. Raises ``QueueUnavailable``."""
    client = redis_client.connect(redis_url)
    with redis_client.translated(), client:
        return client.get(f"{prefix}guard:storage-id")  # type: ignore[return-value]


def live_members_of(client: Any, prefix: str, *, window_seconds: float) -> dict[str, Member]:
    seconds, _ = client.time()
    ids = client.zrangebyscore(f"{prefix}guard:beats", (seconds - window_seconds) * 1000, "+inf")
    texts = client.hmget(f"{prefix}guard:members", ids) if ids else []
    return {one: Member.from_json(text) for one, text in zip(ids, texts, strict=True) if text}


def new_member_id() -> str:
    return os.urandom(8).hex()
