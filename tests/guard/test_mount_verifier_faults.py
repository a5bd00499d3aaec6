"""Rule 4 under faults: late or unreadable files, a Redis that forgets, processes that end."""

import io
import json
import time
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import NotFound, QueueUnavailable, StorageUnavailable
from clipzy_storage.guard.refusals import Refused, RetryLater
from clipzy_storage.log_events import GUARD_UNVERIFIED, GUARD_VERIFIED
from tests.support import guards
from tests.support.guards import NewGuard, join, probes
from tests.support.servers import running_redis

ANNOUNCEMENTS, REPLIES = "clipzy:guard:questions:first", "clipzy:guard:answers:"


class LateStorage(LocalStorage):
    """Shows a new file only after a while, and at first an empty one, as a filesystem that caches does."""

    hidden_seconds, empty_seconds = 0.5, 0.8

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> BinaryIO:
        found = super().open(key, start=start, length=length)
        age_seconds = time.time() - (Path(self.location) / key).stat().st_mtime
        if age_seconds < self.empty_seconds:
            found.close()
            if age_seconds < self.hidden_seconds:
                raise NotFound(key)
            return io.BytesIO()
        return found


class ForeignStorage(LocalStorage):
    """May not read probes: a test that runs as root is never refused by the system itself."""

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> BinaryIO:
        if key.startswith(keys.PROBE):
            raise StorageUnavailable("the storage does not answer: Permission denied")
        return super().open(key, start=start, length=length)


class VanishedStorage(LocalStorage):
    """Was there when it was prepared, and has been unmounted since."""

    def open(self, key: str, **_: Any) -> BinaryIO:
        self.check()
        return super().open(key)

    def check(self) -> None:
        raise StorageUnavailable("the storage directory is gone; mount it again")


def test_files_that_appear_late_on_both_sides_verify(new_guard: NewGuard, root: Path) -> None:
    # Given a filesystem that shows each side the other's files late
    first = new_guard("first", root, kind=LateStorage, visibility_timeout_seconds=20)
    joining = new_guard("joining", root, kind=LateStorage, visibility_timeout_seconds=20)
    join(first)
    # When a second process joins
    began = time.monotonic()
    join(joining, first)
    # Then it waited for both directions, and was verified
    assert time.monotonic() - began > 2 * LateStorage.empty_seconds
    first.serve_verifications()
    assert probes(root) == []


def test_files_that_appear_after_the_timeout_are_a_refusal(new_guard: NewGuard, root: Path) -> None:
    first = new_guard("first", root, kind=LateStorage, visibility_timeout_seconds=0.2)
    join(first)
    with pytest.raises(Refused, match="has not seen a file that this process wrote"):
        join(new_guard("joining", root, visibility_timeout_seconds=0.2), first)


def test_a_peer_that_may_not_read_the_probe_is_a_refusal_with_the_reason(new_guard: NewGuard, root: Path) -> None:
    # Given a member that runs as another user, who may not read the files of the joining process
    first = new_guard("first", root, kind=ForeignStorage, visibility_timeout_seconds=0.2)
    join(first)
    # Then the joining process is refused for that
    with pytest.raises(Refused, match=r"it may not read .*the same user"):
        join(new_guard("joining", root), first)
    assert probes(root) == []


def test_a_process_that_may_not_read_the_reply_is_refused_instead_of_waiting_forever(
    new_guard: NewGuard, root: Path
) -> None:
    first = new_guard("first", root)
    join(first)
    with pytest.raises(Refused, match=r"this process may not read .*the same user"):
        join(new_guard("joining", root, kind=ForeignStorage, visibility_timeout_seconds=0.2), first)


def test_a_peer_whose_mount_is_gone_is_no_refusal(new_guard: NewGuard, root: Path, logged: list[Any]) -> None:
    # Given a live member whose mount has vanished
    first = new_guard("first", root, kind=VanishedStorage)
    joining = new_guard("joining", root, visibility_timeout_seconds=0.2, silence_seconds=0.1)
    join(first)
    with pytest.raises(RetryLater):
        joining.join()
    # When it checks the probe
    with pytest.raises(StorageUnavailable):
        first.serve_verifications()
    # Then it has not replied, and the other joins unverified
    join(joining)
    assert (GUARD_UNVERIFIED, "no reply") in [(line["event"], line.get("reason")) for line in logged]


def test_a_process_that_stops_during_its_verification_leaves_nothing(
    new_guard: NewGuard, root: Path, redis_client: Any
) -> None:
    # Given a joining process that wrote a probe, and a member that has replied to it
    first, joining = new_guard("first", root), new_guard("joining", root)
    join(first)
    with pytest.raises(RetryLater):
        joining.join()
    first.serve_verifications()
    assert len(probes(root)) == 2
    # When the joining process stops, and then the member
    joining.clean_up()
    first.clean_up()
    # Then nothing is left
    assert probes(root) == []
    assert redis_client.keys(ANNOUNCEMENTS) == redis_client.keys(f"{REPLIES}*") == []


def test_a_process_that_stops_while_redis_is_unavailable_leaves_no_file(root: Path, tmp_path: Path) -> None:
    # Given a joining process that wrote a probe
    with running_redis(tmp_path / "redis") as redis:
        storage = LocalStorage(root, shared=True)
        first, joining = (guards.new_guard(redis.url, name, storage) for name in ("first", "joining"))
        join(first)
        with pytest.raises(RetryLater):
            joining.join()
        assert len(probes(root)) == 1
        # When it stops while Redis is unavailable
        redis.kill()
        joining.clean_up()
    # Then its file is gone all the same
    assert probes(root) == []


def test_a_probe_of_a_killed_process_is_dropped_in_the_end(new_guard: NewGuard, root: Path, redis_client: Any) -> None:
    # Given an announced probe, whose process was killed long ago
    first, joining = new_guard("first", root), new_guard("joining", root)
    join(first)
    with pytest.raises(RetryLater):
        joining.join()
    first.serve_verifications()
    ((nonce, text),) = redis_client.hgetall(ANNOUNCEMENTS).items()
    redis_client.hset(ANNOUNCEMENTS, nonce, json.dumps(json.loads(text) | {"asked_at": time.time() - 700}))
    # When a member checks the probes
    first.serve_verifications()
    first.serve_verifications()
    # Then it and the replies to it are gone from Redis; its file is swept like all that is incomplete
    assert redis_client.keys(ANNOUNCEMENTS) == redis_client.keys(f"{REPLIES}*") == []
    assert probes(root) == [nonce]


def test_a_probe_that_redis_has_lost_is_announced_again(
    new_guard: NewGuard, root: Path, redis_client: Any, logged: list[Any]
) -> None:
    # Given a joining process in the middle of its verification
    first, joining = new_guard("first", root), new_guard("joining", root)
    join(first)
    with pytest.raises(RetryLater):
        joining.join()
    # When Redis loses the announcement
    redis_client.delete(ANNOUNCEMENTS)
    join(joining, first)
    # Then it is verified all the same, and nothing is left of either probe
    assert GUARD_VERIFIED in [line["event"] for line in logged]
    first.serve_verifications()
    assert probes(root) == []


def test_a_process_that_was_frozen_writes_another_probe(new_guard: NewGuard, root: Path) -> None:
    # Given a joining process that wrote a probe
    first, joining = new_guard("first", root), new_guard("joining", root, max_poll_gap_seconds=0)
    join(first)
    with pytest.raises(RetryLater):
        joining.join()
    probe = probes(root)
    # When it continues after a pause in which peers may have missed the probe
    with pytest.raises(RetryLater):
        joining.join()
    # Then it writes another one
    assert len(probes(root)) == 1
    assert probes(root) != probe


def test_a_reply_that_redis_did_not_take_is_sent_again(
    new_guard: NewGuard, root: Path, redis_client: Any, logged: list[Any]
) -> None:
    # Given a member whose reply Redis refuses
    first, joining = new_guard("first", root), new_guard("joining", root)
    join(first)
    with pytest.raises(RetryLater):
        joining.join()
    (nonce,) = redis_client.hkeys(ANNOUNCEMENTS)
    redis_client.set(REPLIES + nonce, "no place for a reply")
    with pytest.raises(QueueUnavailable):
        first.serve_verifications()
    # When Redis takes it again, then the joining process gets it
    redis_client.delete(REPLIES + nonce)
    join(joining, first)
    assert GUARD_VERIFIED in [line["event"] for line in logged]
