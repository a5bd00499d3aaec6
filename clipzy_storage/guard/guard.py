"""The guard: admits a process only if it sees the same files as all others, before any file can go missing.

Local storage with several workers is refused unless the mount is declared shared; a process whose storage is not the
one that this Redis knows is refused in any case. Every process of the deployment is a member: it joins, sends
heartbeats and leaves here, and may take work only as long as Redis lists it. The rules: ``docs/guard.md``.
"""

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from clipzy_storage.guard.members import (
    HEARTBEAT_WINDOW_SECONDS,
    Member,
    live_members,
    members_on,
    some_members,
    still_live,
)
from clipzy_storage.guard.mount_verifier import MountVerifier, NotSameMount, Verification
from clipzy_storage.guard.refusals import (
    OtherStorage,
    Refused,
    RetryLater,
    refusal_by_member,
    refusal_by_verification,
)
from clipzy_storage.log_events import GUARD_STORAGE_REPLACED, GUARD_UNVERIFIED, GUARD_VERIFIED
from clipzy_storage.redis_client import RedisDatabase, translated

SCRIPTS = Path(__file__).parent / "lua"
VERIFY_AGAIN_SECONDS = 3600.0
VERIFICATION_POLL_SECONDS = 0.2
PEERS = 3
"""How many members are asked to verify a mount: one reply is enough, and others may be silent."""

log = structlog.stdlib.get_logger(__name__)


class Guard:
    """One process' membership. All methods but ``__init__`` and ``clean_up`` may raise ``QueueUnavailable``."""

    def __init__(
        self,
        redis: RedisDatabase,
        member: Member,
        *,
        member_id: str,
        verifier: MountVerifier | None = None,
        window_seconds: float = HEARTBEAT_WINDOW_SECONDS,
        verify_again_seconds: float = VERIFY_AGAIN_SECONDS,
    ) -> None:
        """``verifier`` replies for a local storage, and verifies one that is declared shared."""
        self._redis = redis
        self._member = member
        self._member_id = member_id
        self._verifier = verifier
        self._own_verifier = None if member.exclusive else verifier
        self._verify_at: float | None = None  # not yet tried
        self._verify_again_seconds = verify_again_seconds
        self._is_prepared = False
        self._peers: dict[str, Member] = {}
        self._first_heartbeats_ms: dict[str, int] = {}
        self.window_seconds = window_seconds

    @property
    def storage_id(self) -> str:
        return self._member.storage_id

    def join(self) -> None:
        """Become a member.

        Raises:
            Refused: another member rules this process out, and is alive as far as can be known.
            RetryLater: Redis has not been up for long enough to know the live members, or the other may have expired,
                or the mount is being verified: call again.
            StorageError: the storage failed during the verification.
        """
        if self._own_verifier and self._verify_at is None:
            self._negotiate(is_joining=True, dry_run=True)  # fail fast on a different storage
            self._verify(self._own_verifier)
        self._negotiate(is_joining=True)

    def heartbeat(self) -> None:
        """Stay a member. Raises ``Refused`` as ``join`` does."""
        self._negotiate(is_joining=False)

    def serve_verifications(self) -> None:
        """Reply to the probes of others, and verify the mount again if that is due. Call it about once a second.

        Raises:
            Refused: an older member does not see what this process sees.
            StorageError: the storage is unavailable now.
        """
        if self._verifier is None:
            return
        if not self._is_prepared:
            self._verifier.prepare()
            self._is_prepared = True
        self._verifier.reply_to_probes()
        if self._own_verifier and self._verify_at is not None and time.monotonic() >= self._verify_at:
            with suppress(RetryLater):
                self._verify(self._own_verifier)

    def clean_up(self) -> None:
        """Delete what verifications left. Raises nothing. Not to be called while another thread verifies."""
        if self._verifier is not None:
            self._verifier.clean_up()

    def leave(self) -> None:
        """Stop being a member."""
        self._redis.run(SCRIPTS / "leave.lua", self._member_id)

    def admit(self) -> None:
        """Check that this process may take work now, in one round trip.

        Raises:
            QueueUnavailable: Redis is unavailable.
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
        """The live members."""
        return list(live_members(self._redis, window_seconds=self.window_seconds).values())

    def _negotiate(self, *, is_joining: bool, dry_run: bool = False) -> None:
        """Join, send a heartbeat, or with ``dry_run`` only find out whether this process may join."""
        gone = self._gone_members() if is_joining else []
        while True:
            verdict, *rest = self._run_join(is_joining=is_joining, dry_run=dry_run, gone=gone)
            if verdict == "ok":
                break
            if verdict == "wait":
                raise RetryLater("Redis was empty, unavailable or has just started", seconds=int(rest[0]) / 1000)
            other_id, other = rest[0], Member.model_validate_json(rest[1])
            if other.process.is_gone() and other_id not in gone:
                gone.append(other_id)
                continue
            if is_joining:
                self._await_heartbeat(other_id, other, heartbeat_ms=int(rest[2]), now_ms=int(rest[3]))
            raise Refused(refusal_by_member(verdict, self._member, other))
        if not dry_run:
            self._joined(pinned_before=str(rest[0]))

    def _joined(self, *, pinned_before: str) -> None:
        self._first_heartbeats_ms.clear()
        if pinned_before != self.storage_id:
            log.warning(
                GUARD_STORAGE_REPLACED,
                previous_storage_id=pinned_before,
                storage_id=self.storage_id,
                storage=self._member.storage,
            )

    def _run_join(self, *, is_joining: bool, dry_run: bool, gone: Iterable[str]) -> list[Any]:
        with translated():
            server: Any = self._redis.client.info("server")
            args: list[str | int] = [
                self._member_id,
                self._member.to_json(),
                self._member.role,
                int(self._member.exclusive),
                self.storage_id,
                int(self.window_seconds * 1000),
                int(is_joining),
                server["run_id"],
                int(server["uptime_in_seconds"]) * 1000,
                int(dry_run),
                *gone,
            ]
            return list(self._redis.run(SCRIPTS / "join.lua", *args))

    def _gone_members(self) -> list[str]:
        """Members whose processes no longer exist on this host."""
        here = members_on(self._redis, self._member.process.host)
        return [other_id for other_id, other in here.items() if other.process.is_gone()]

    def _await_heartbeat(self, other_id: str, other: Member, *, heartbeat_ms: int, now_ms: int) -> None:
        """Raise ``RetryLater`` while the other may have expired: it runs elsewhere and has sent no heartbeat since."""
        is_alive = self._first_heartbeats_ms.setdefault(other_id, heartbeat_ms) != heartbeat_ms
        if is_alive or other.process.is_running():
            return
        left_seconds = self.window_seconds - (now_ms - heartbeat_ms) / 1000
        raise RetryLater(f"waiting for a heartbeat of {other}, or for its expiry", seconds=max(left_seconds, 0.1))

    def _verify(self, verifier: MountVerifier) -> None:
        """One step of the verification, by older members only: of two that see different files the older stays.

        Raises:
            RetryLater: no reply so far.
            Refused, StorageError.
        """
        peers = self._peers = self._live_peers()
        try:
            verification = verifier.verify_step(peers)
        except NotSameMount as error:
            peer = peers[error.peer_id]
            raise Refused(refusal_by_verification(self._member.storage, peer, str(error))) from error
        if verification is Verification.PENDING:
            reason = "waiting until another process verifies that it sees the same files"
            raise RetryLater(reason, seconds=VERIFICATION_POLL_SECONDS)
        self._peers = {}
        is_first, self._verify_at = self._verify_at is None, time.monotonic() + self._verify_again_seconds
        if verification is Verification.VERIFIED:
            log.info(GUARD_VERIFIED)
        elif peers:
            log.warning(GUARD_UNVERIFIED, reason="no reply")
        else:
            self._verify_at = time.monotonic() + self.window_seconds / 4
            if is_first:
                log.info(GUARD_UNVERIFIED, reason="no other member")

    def _live_peers(self) -> dict[str, Member]:
        """Those that were asked, as long as one of them is live, otherwise some members that joined before this one."""
        live = still_live(self._redis, list(self._peers), window_seconds=self.window_seconds) or some_members(
            self._redis, count=PEERS, older_than=self._member_id, window_seconds=self.window_seconds
        )
        return {peer_id: peer for peer_id, peer in live.items() if not peer.process.is_gone()}
