"""The guard: proof that all processes see the same files, before any of them can go missing.

Local storage with several workers is refused unless the mount is declared shared; a process whose storage is not the
one that this Redis knows is refused in any case. Every process of the deployment is a member: it joins, beats and
leaves here, and may take work only as long as Redis lists it.
"""

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from clipzy_storage import keys, redis_client
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.settings import Settings

WINDOW_SECONDS = 30  # a member that has been silent for so long is dead
THREE_WAYS_OUT = (
    "Either run one worker (on one machine `clipzy up --workers N` runs several), or mount one shared folder on every"
    " machine and set LOCAL_STORAGE_SHARED=true for all of them, or use STORAGE_TYPE=s3."
)

_ROLES = {"worker": "worker", "web": "front end"}

log = logging.getLogger(__name__)


class Refused(Exception):
    """The guard does not admit this process; the text says what was found, why it loses files and what to do."""


class NotYet(Exception):
    """The guard cannot decide before ``seconds`` have passed."""

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


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
        return f"{_ROLES[self.role]} {self.name} ({where})"


def refusal_by_settings(settings: Settings) -> str | None:
    """Rule 1: what the settings alone forbid, or ``None``."""
    if settings.storage_type != "local" or settings.worker_count == 1 or settings.local_storage_shared:
        return None
    return (
        f"WORKER_COUNT={settings.worker_count} with STORAGE_TYPE=local and LOCAL_STORAGE_SHARED not true: workers that"
        f" do not see the same files lose each other's uploads and results. {THREE_WAYS_OUT}"
    )


def new_member(settings: Settings, *, role: Literal["worker", "web"], name: str, storage_id: str) -> Member:
    """This process, as it joins."""
    local = settings.storage_type == "local"
    return Member(
        name=name,
        role=role,
        storage_id=storage_id,
        storage=str(settings.local_storage_path) if local else settings.storage_type,
        alone=local and not settings.local_storage_shared,
        process=ProcessIdentity.own().as_dict(),
    )


class Guard:
    """One process' membership. All methods but ``__init__`` may raise ``QueueUnavailable``."""

    def __init__(
        self,
        redis_url: str,
        member: Member,
        *,
        member_id: str,
        prefix: str = keys.REDIS_PREFIX,
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        self._redis = redis_client.connect(redis_url)
        self._scripts = redis_client.Scripts(self._redis)
        self._prefix = prefix
        self._member = member
        self._member_id = member_id
        self._first_beats_ms: dict[str, int] = {}
        self.window_seconds = window_seconds

    @property
    def storage_id(self) -> str:
        return self._member.storage_id

    def join(self, *, is_new: bool) -> None:
        """Join, or beat when already in.

        Raises:
            Refused: another process is in the way and certainly lives, or as certainly as can be told.
            NotYet: Redis has not been up for long enough to know who lives, or the other may be dead: ask again.
        """
        buried = self._seen_to_be_gone() if is_new else []
        while True:
            verdict, *rest = self._ask(is_new=is_new, buried=buried)
            if verdict == "ok":
                return self._welcome(rest[0])
            if verdict == "wait":
                raise NotYet("Redis was empty, away or has just started", seconds=int(rest[0]) / 1000)
            other_id, other = rest[0], Member.from_json(rest[1])
            if other.identity.is_gone() and other_id not in buried:
                buried.append(other_id)
                continue
            if is_new:
                self._give_time(other_id, other, beat_ms=int(rest[2]), now_ms=int(rest[3]))
            raise Refused(self._refusal(verdict, other))

    def leave(self) -> None:
        """Be counted no more."""
        with redis_client.translated():
            self._scripts.run("leave", prefix=self._prefix, args=[self._member_id])

    def admit(self) -> None:
        """Whether this process may take work now, in one round trip.

        Raises:
            QueueUnavailable: Redis cannot be asked.
            Refused: Redis does not list this process (yet), or knows another storage.
        """
        with redis_client.translated(certain=True):
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.hexists(f"{self._prefix}guard:members", self._member_id)
            pipeline.get(f"{self._prefix}guard:storage-id")
            is_member, pinned = pipeline.execute()
        if not is_member:
            raise Refused("this process has not been admitted by the guard yet")
        if pinned != self.storage_id:
            raise Refused("this process' storage is not the one that the deployment uses")

    def live_workers(self) -> int:
        return sum(member.role == "worker" for member in self.members())

    def members(self) -> list[Member]:
        """Those whose last beat is younger than the window."""
        with redis_client.translated():
            return _members(self._redis, self._prefix, window_seconds=self.window_seconds)

    def _ask(self, *, is_new: bool, buried: Iterable[str]) -> list[Any]:
        with redis_client.translated():
            server: Any = self._redis.info("server")
            args: list[str | int] = [
                self._member_id,
                json.dumps(asdict(self._member)),
                self._member.role,
                int(self._member.alone),
                self.storage_id,
                int(self.window_seconds * 1000),
                int(is_new),
                server["run_id"],
                int(server["uptime_in_seconds"]) * 1000,
                *buried,
            ]
            return list(self._scripts.run("join", prefix=self._prefix, args=args))

    def _seen_to_be_gone(self) -> list[str]:
        with redis_client.translated():
            everybody: Any = self._redis.hgetall(f"{self._prefix}guard:members")
        return [other_id for other_id, text in everybody.items() if Member.from_json(text).identity.is_gone()]

    def _give_time(self, other_id: str, other: Member, *, beat_ms: int, now_ms: int) -> None:
        """Raise ``NotYet`` while the other may be dead: its process is out of sight and it has not beaten since."""
        if other.identity.is_running() or self._first_beats_ms.setdefault(other_id, beat_ms) != beat_ms:
            return
        left = self.window_seconds - (now_ms - beat_ms) / 1000
        raise NotYet(f"waiting to see whether {other} still lives", seconds=max(left, 0.1))

    def _refusal(self, verdict: str, other: Member) -> str:
        me = self._member
        if verdict == "identity":
            return (
                f"This {_ROLES[me.role]}'s storage {me.storage} (id {me.storage_id}) is not the one in use: {other} has"
                f" id {other.storage_id}. On different storages files go missing: what one writes the other never sees."
                f" Point both at the same one (check LOCAL_STORAGE_PATH and the folder you start in). {THREE_WAYS_OUT}"
            )
        return (
            f"Another worker is already running: {other}. Local storage is not declared shared by both, so they"
            f" would lose each other's files. {THREE_WAYS_OUT}"
        )

    def _welcome(self, pinned_before: str) -> None:
        self._first_beats_ms.clear()
        if pinned_before != self.storage_id:
            log.warning(
                "guard.storage_replaced: Redis knew storage %s, which nobody uses any more; now pinned: %s. Jobs whose"
                " files lay on the old one cannot be finished.",
                pinned_before,
                self.storage_id,
            )


def open_fresh(redis_url: str, *, prefix: str = keys.REDIS_PREFIX) -> None:
    """Tell the guard that this server has just been started with a password that nobody else can know.

    So nobody else can be on it, members left in its records are dead, and newcomers need not wait for them.
    """
    client = redis_client.connect(redis_url)
    with redis_client.translated(), client:
        server: Any = client.info("server")
        client.delete(f"{prefix}guard:members", f"{prefix}guard:beats")
        client.set(f"{prefix}guard:since", 0)
        client.set(f"{prefix}guard:fresh-run", server["run_id"])


def live_members(redis_url: str, *, prefix: str = keys.REDIS_PREFIX) -> list[Member]:
    """Who is there, for an onlooker that does not join. Raises ``QueueUnavailable``."""
    client = redis_client.connect(redis_url)
    with redis_client.translated(), client:
        return _members(client, prefix, window_seconds=WINDOW_SECONDS)


def pinned_storage_id(redis_url: str, *, prefix: str = keys.REDIS_PREFIX) -> str | None:
    """The storage that this Redis belongs to, if any. Raises ``QueueUnavailable``."""
    client = redis_client.connect(redis_url)
    with redis_client.translated(), client:
        return client.get(f"{prefix}guard:storage-id")  # type: ignore[return-value]


def _members(client: Any, prefix: str, *, window_seconds: float) -> list[Member]:
    seconds, _ = client.time()
    ids = client.zrangebyscore(f"{prefix}guard:beats", (seconds - window_seconds) * 1000, "+inf")
    texts = client.hmget(f"{prefix}guard:members", ids) if ids else []
    return [Member.from_json(text) for text in texts if text]


def new_member_id() -> str:
    return os.urandom(8).hex()
