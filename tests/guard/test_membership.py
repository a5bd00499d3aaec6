"""The serving process' view of its membership: mounts that hang, and mounts that are not there when it starts again."""

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


@pytest.fixture
def share(tmp_path: Path) -> Path:
    (tmp_path / "share").mkdir()
    return tmp_path / "share"


def serving(redis_url: str, root: Path) -> tuple[Membership, Callable[[], Guard]]:
    """What the serving process has of its membership, and what its main process proves and keeps it by."""
    storage = LocalStorage(root, shared=True)

    def prove() -> Guard:
        process = ProcessIdentity.own().as_dict()
        member = Member("web", "web", storage.prepare(), str(root), alone=False, process=process)
        return Guard(RedisDatabase(redis_url), member, member_id="web")

    return Membership(prove, storage), prove


def test_a_serving_process_that_starts_again_over_a_vanished_mount_stays_out_of_the_hole(
    redis_url: str, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a front end, whose mount vanishes, and whose serving process is then started again
    monkeypatch.setattr("clipzy_api.membership.RETRY_SECONDS", 0.0)
    _, prove = serving(redis_url, share)
    prove().join(is_new=True)
    away = share.rename(share.parent / "away")
    share.mkdir()
    membership, _ = serving(redis_url, share)
    # Then it is not ready, and the hole stays empty
    with pytest.raises(StorageUnavailable, match="is the share mounted"):
        membership.check_storage()
    assert list(share.iterdir()) == []
    # And it is when the mount is back
    shutil.rmtree(share)
    away.rename(share)
    membership.check_storage()
    membership.guard().admit()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every look at the storage hangs until the end of the test; the names of the threads that it holds up."""
    comes_back, held = threading.Event(), []

    def hang(_: LocalStorage) -> None:
        held.append(threading.current_thread().name)
        comes_back.wait(60)

    monkeypatch.setattr(LocalStorage, "check", hang)
    monkeypatch.setattr("clipzy_api.membership.CHECK_SECONDS", 0.05)
    yield held
    comes_back.set()


def test_a_dead_mount_holds_up_one_thread_however_often_it_is_asked_for(
    redis_url: str, share: Path, hanging: list[str]
) -> None:
    membership, _ = serving(redis_url, share)
    for _ in range(5):
        with pytest.raises(StorageUnavailable, match="does not answer"):
            membership.check_storage()
    assert len(hanging) == 1
