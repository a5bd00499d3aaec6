"""Members that verify a directory for each other, without the threads that do it in a process."""

from collections.abc import Callable
from pathlib import Path

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.guard.guard import VERIFY_AGAIN_SECONDS, Guard
from clipzy_storage.guard.members import HEARTBEAT_WINDOW_SECONDS, Member
from clipzy_storage.guard.mount_verifier import MAX_POLL_GAP_SECONDS, SILENCE_SECONDS, MountVerifier
from clipzy_storage.guard.refusals import RetryLater
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.redis_client import RedisDatabase
from tests.support.waiting import eventually

NewGuard = Callable[..., Guard]


def new_guard(
    redis_url: str,
    name: str,
    storage: LocalStorage,
    *,
    visibility_timeout_seconds: float = 60,
    silence_seconds: float = SILENCE_SECONDS,
    max_poll_gap_seconds: float = MAX_POLL_GAP_SECONDS,
    verify_again_seconds: float = VERIFY_AGAIN_SECONDS,
    window_seconds: float = HEARTBEAT_WINDOW_SECONDS,
) -> Guard:
    """A member's guard on a storage that is declared shared."""
    member = Member(
        name=name,
        role="worker",
        storage_id=storage.prepare(),
        storage=storage.location,
        exclusive=False,
        process=ProcessIdentity.own(),
    )
    redis = RedisDatabase(redis_url)
    verifier = MountVerifier(
        redis,
        storage,
        member_id=name,
        visibility_timeout_seconds=visibility_timeout_seconds,
        silence_seconds=silence_seconds,
        max_poll_gap_seconds=max_poll_gap_seconds,
    )
    return Guard(
        redis,
        member,
        member_id=name,
        verifier=verifier,
        window_seconds=window_seconds,
        verify_again_seconds=verify_again_seconds,
    )


def join(joining: Guard, *members: Guard) -> None:
    """Let a guard join while the members do what their threads do all the time."""

    def has_joined() -> bool:
        for member in members:
            member.serve_verifications()
        try:
            joining.join()
        except RetryLater:
            return False
        return True

    eventually(has_joined, "a process to join")


def probes(*roots: Path) -> list[str]:
    return [path.name for root in roots for path in (root / keys.PROBE).iterdir()]
