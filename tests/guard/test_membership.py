"""The serving process' view of its membership: mounts that hang, and mounts that are not there when it restarts."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clipzy_api.membership import Membership
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import StorageUnavailable
from clipzy_storage.guard.guard import Guard
from clipzy_storage.guard.members import Member
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.redis_client import RedisDatabase


def guard_of(redis_url: str, storage: LocalStorage) -> Callable[[], Guard]:
    """What a front end's main process and its serving process create their guards by."""

    def new_guard() -> Guard:
        member = Member(
            name="web",
            role="web",
            storage_id=storage.prepare(),
            storage=storage.location,
            exclusive=False,
            process=ProcessIdentity.own(),
        )
        return Guard(RedisDatabase(redis_url), member, member_id="web")

    return new_guard


def test_a_serving_process_that_restarts_over_a_vanished_mount_writes_nothing_below_it(
    redis_url: str, root: Path
) -> None:
    # Given a front end, whose mount vanishes, and whose serving process is then restarted
    guard_of(redis_url, LocalStorage(root, shared=True))().join()
    away = root.rename(root.parent / "away")
    root.mkdir()
    storage = LocalStorage(root, shared=True)
    membership = Membership(guard_of(redis_url, storage), storage, retry_seconds=0)
    # Then it is not ready, and the directory below the mount stays empty
    with pytest.raises(StorageUnavailable, match="is the share mounted"):
        membership.check_storage()
    assert list(root.iterdir()) == []
    # And it is ready when the mount is back
    shutil.rmtree(root)
    away.rename(root)
    membership.check_storage()
    membership.guard().admit()


class HangingStorage(LocalStorage):
    """A storage of which every check hangs until ``mount_returns``."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, shared=True)
        self.blocked: list[str] = []
        self.mount_returns = threading.Event()

    def check(self) -> None:
        self.blocked.append(threading.current_thread().name)
        self.mount_returns.wait(60)


@pytest.fixture
def hanging(root: Path) -> Iterator[HangingStorage]:
    storage = HangingStorage(root)
    yield storage
    storage.mount_returns.set()


def test_a_dead_mount_blocks_one_thread_however_often_it_is_checked(redis_url: str, hanging: HangingStorage) -> None:
    membership = Membership(guard_of(redis_url, hanging), hanging, check_timeout_seconds=0.05)
    for _ in range(5):
        with pytest.raises(StorageUnavailable, match="does not answer"):
            membership.check_storage()
    assert len(hanging.blocked) == 1
