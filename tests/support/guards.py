"""Members that prove a folder to each other, without the threads that do it in a process."""

from collections.abc import Callable
from pathlib import Path

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.guard.guard import Guard, NotYet
from clipzy_storage.guard.members import Member
from clipzy_storage.guard.mount_verifier import MountVerifier
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.redis_client import RedisDatabase
from tests.support.waiting import eventually

Join = Callable[..., Guard]


def new_guard(redis_url: str, name: str, storage: LocalStorage, *, proof_seconds: float) -> Guard:
    """A member's guard, with as short a patience as the test wants."""
    member = Member(
        name=name,
        role="worker",
        storage_id=storage.prepare(),
        storage=storage.place,
        alone=False,
        process=ProcessIdentity.own().as_dict(),
    )
    prover = MountVerifier(RedisDatabase(redis_url), storage, member_id=name, proof_seconds=proof_seconds)
    return Guard(RedisDatabase(redis_url), member, member_id=name, prover=prover)


def join(newcomer: Guard, *members: Guard) -> None:
    """Let the newcomer join while the members do what their keepers do all the time."""

    def has_joined() -> bool:
        for member in members:
            member.attend()
        try:
            newcomer.join(is_new=True)
        except NotYet:
            return False
        return True

    eventually(has_joined, "a newcomer's joining")


def probes(*roots: Path) -> list[str]:
    return [path.name for root in roots for path in (root / keys.PROBE).iterdir()]
