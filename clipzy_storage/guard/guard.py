"""The guard: proof that all processes see the same files, before any of them can go missing.

Local storage with several workers is refused unless the mount is declared shared; a process whose storage is not the
one that this Redis knows is refused in any case. Every process of the deployment is a member: it joins, beats and
leaves here, and may take work only as long as Redis lists it.
"""

import json
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clipzy_storage.config.settings import Settings
from clipzy_storage.guard.members import ROLES, WINDOW_SECONDS, Member, live_members
from clipzy_storage.guard.mount_verifier import MountVerifier, NotSameMount
from clipzy_storage.redis_client import RedisDatabase, translated

SCRIPTS = Path(__file__).parent / "lua"
PROVE_AGAIN_SECONDS = 3600.0
THREE_WAYS_OUT = (
    "Either run one worker (on one machine `clipzy up --workers N` runs several), or mount one shared folder on every"
    " machine and set LOCAL_STORAGE_SHARED=true for all of them, or use STORAGE_TYPE=s3."
)

log = logging.getLogger(__name__)


class Refused(Exception):
    """The guard does not admit this process; the text says what was found, why it loses files and what to do."""


class OtherStorage(Refused):
    """The deployment uses another storage than this process."""


class NotYet(Exception):
    """The guard cannot decide before ``seconds`` have passed."""

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


def refusal_by_settings(settings: Settings) -> str | None:
    """Rule 1: what the settings alone forbid, or ``None``."""
    if settings.storage_type != "local" or settings.worker_count == 1 or settings.local_storage_shared:
        return None
    return (
        f"WORKER_COUNT={settings.worker_count} with STORAGE_TYPE=local and LOCAL_STORAGE_SHARED not true: workers that"
        f" do not see the same files lose each other's uploads and results. {THREE_WAYS_OUT}"
    )


def disproof(storage: str, peer: Member, found: str) -> str:
    """What is to be said where ``peer`` and the process that uses ``storage`` were found not to see the same files."""
    return (
        f"The storage {storage} is declared shared, but is not the same for {peer}: {found}. On different storages"
        f" files go missing: what one writes the other never sees. {THREE_WAYS_OUT}"
    )


class Guard:
    """One process' membership. All methods but ``__init__`` and ``retire`` may raise ``QueueUnavailable``."""

    def __init__(
        self,
        redis: RedisDatabase,
        member: Member,
        *,
        member_id: str,
        prover: MountVerifier | None = None,
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        """``prover`` answers for a local storage, and asks for one that is declared shared."""
        self._redis = redis
        self._member = member
        self._member_id = member_id
        self._first_beats_ms: dict[str, int] = {}
        self._prover = prover
        self._prove_at: float | None = None  # not yet tried
        self._has_settled = False
        self.window_seconds = window_seconds

    @property
    def storage_id(self) -> str:
        return self._member.storage_id

    def join(self, *, is_new: bool) -> None:
        """Join, or beat when already in.

        Raises:
            Refused: another process is in the way and certainly lives, or as certainly as can be told.
            NotYet: Redis has not been up for long enough to know who lives, or the other may be dead, or a proof is
                under way: ask again.
            StorageError: the storage gives trouble in the middle of the proof.
        """
        if is_new and self._prove_at is None and self._asks:
            self._negotiate(is_new=True, only_asks=True)  # who is on another storage hears it at once
            self._prove()
        pinned_before = self._negotiate(is_new=is_new, only_asks=False)
        self._welcome(pinned_before)

    def attend(self) -> None:
        """Answer the proofs of others, and prove again where that is due. To be called about once a second.

        Raises:
            Refused: an older member does not see what this process sees.
            StorageError: the storage gives trouble now.
        """
        if self._prover is None:
            return
        if not self._has_settled:
            self._prover.settle()
            self._has_settled = True
        self._prover.answer()
        if self._asks and self._prove_at is not None and time.monotonic() >= self._prove_at:
            with suppress(NotYet):
                self._prove()

    def _negotiate(self, *, is_new: bool, only_asks: bool) -> str:
        """Join, beat or only ask whether one may; returns the storage that was pinned before."""
        buried = self._seen_to_be_gone() if is_new else []
        while True:
            verdict, *rest = self._ask(is_new=is_new, only_asks=only_asks, buried=buried)
            if verdict == "ok":
                return str(rest[0])
            if verdict == "wait":
                raise NotYet("Redis was empty, away or has just started", seconds=int(rest[0]) / 1000)
            other_id, other = rest[0], Member.from_json(rest[1])
            if other.identity.is_gone() and other_id not in buried:
                buried.append(other_id)
                continue
            if is_new:
                self._give_time(other_id, other, beat_ms=int(rest[2]), now_ms=int(rest[3]))
            raise Refused(self._refusal(verdict, other))

    def retire(self) -> None:
        """Take away what proofs have left. Raises nothing; not to be called while another thread proves."""
        if self._prover is not None:
            self._prover.retire()

    def leave(self) -> None:
        """Be counted no more."""
        self._redis.run(SCRIPTS / "leave.lua", self._member_id)

    def admit(self) -> None:
        """Whether this process may take work now, in one round trip.

        Raises:
            QueueUnavailable: Redis cannot be asked.
            Refused: Redis does not list this process (yet).
            OtherStorage: Redis knows another storage.
        """
        with translated(certain=True):
            pipeline = self._redis.client.pipeline(transaction=False)
            pipeline.hexists(self._redis.key("guard:members"), self._member_id)
            pipeline.get(self._redis.key("guard:storage-id"))
            is_member, pinned = pipeline.execute()
        if not is_member:
            raise Refused("this process has not been admitted by the guard yet")
        if pinned != self.storage_id:
            raise OtherStorage("this process' storage is not the one that the deployment uses; is the share mounted?")

    def members(self) -> list[Member]:
        """Those whose last beat is younger than the window."""
        with translated():
            return list(live_members(self._redis, window_seconds=self.window_seconds).values())

    @property
    def _asks(self) -> bool:
        return self._prover is not None and not self._member.alone

    def _prove(self) -> None:
        """One step of the proof. Only older members are asked, so that of two who disagree the first goes on.

        Raises:
            NotYet: no answer so far.
            Refused, StorageError.
        """
        assert self._prover is not None
        elders = self._elders()
        try:
            proved = self._prover.ask(elders)
        except NotSameMount as error:
            raise Refused(disproof(self._member.storage, elders[error.peer_id], str(error))) from error
        if proved is None:
            raise NotYet("waiting for another process to prove that it sees the same files", seconds=0.2)
        first, self._prove_at = self._prove_at is None, time.monotonic() + PROVE_AGAIN_SECONDS
        if proved:
            log.info("guard.proved: another process sees the same files")
        elif elders:
            log.warning("guard.unproved: nobody answered; that the storage is shared is proved later")
        else:
            self._prove_at = time.monotonic() + self.window_seconds / 4
            if first:
                log.info("guard.unproved: alone; that the storage is shared is proved when another comes")

    def _elders(self) -> dict[str, Member]:
        """Who lives and joined before this process."""
        with translated():
            order: Any = self._redis.client.zrange(self._redis.key("guard:joined"), 0, -1)
            alive = live_members(self._redis, window_seconds=self.window_seconds)
        before = order[: order.index(self._member_id)] if self._member_id in order else order
        return {one: alive[one] for one in before if one in alive and not alive[one].identity.is_gone()}

    def _ask(self, *, is_new: bool, only_asks: bool, buried: Iterable[str]) -> list[Any]:
        with translated():
            server: Any = self._redis.client.info("server")
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
                int(only_asks),
                *buried,
            ]
            return list(self._redis.run(SCRIPTS / "join.lua", *args))

    def _seen_to_be_gone(self) -> list[str]:
        with translated():
            everybody: Any = self._redis.client.hgetall(self._redis.key("guard:members"))
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
                f"This {ROLES[me.role]}'s storage {me.storage} (id {me.storage_id}) is not the one in use: {other} has"
                f" id {other.storage_id}. On different storages files go missing: what one writes the other never sees."
                " Point both at the same one (check STORAGE_TYPE, S3_BUCKET_NAME, LOCAL_STORAGE_PATH, the folder you"
                f" start in, and whether the share is mounted). {THREE_WAYS_OUT}"
            )
        declared_by = "neither of them" if me.alone and other.alone else "only one of them"
        return (
            f"Another worker is already running: {other}. Local storage is declared shared by {declared_by}, so they"
            f" would lose each other's files. {THREE_WAYS_OUT}"
        )

    def _welcome(self, pinned_before: str) -> None:
        self._first_beats_ms.clear()
        if pinned_before != self.storage_id:
            log.warning(
                "guard.storage_replaced: Redis knew storage %s, which nobody uses any more; now pinned: %s (%s). Jobs"
                " whose files lay on the old one cannot be finished. If it still exists (a share that is not mounted?),"
                " stop this process, bring it back and start again.",
                pinned_before,
                self.storage_id,
                self._member.storage,
            )
