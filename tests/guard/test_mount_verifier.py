"""Rule 4 on a real Redis and real directories: what is declared shared is verified by a fresh file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.guard.guard import PEERS, Guard
from clipzy_storage.guard.refusals import Refused, RetryLater
from clipzy_storage.log_events import GUARD_UNVERIFIED, GUARD_VERIFIED
from clipzy_storage.process import ProcessIdentity
from tests.support.guards import NewGuard, join, probes
from tests.support.waiting import eventually


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """Another directory with the identity of the first, as a copy or an overlay has it."""
    LocalStorage(root, shared=True).prepare()
    own = tmp_path / "copy" / ".clipzy"
    own.mkdir(parents=True)
    (own / "storage-id").write_bytes((root / keys.STORAGE_ID).read_bytes())
    return tmp_path / "copy"


def test_the_only_member_joins_unverified(new_guard: NewGuard, root: Path, logged: list[Any]) -> None:
    new_guard("first", root).join()
    assert (GUARD_UNVERIFIED, "no other member") in [(line["event"], line.get("reason")) for line in logged]
    assert probes(root) == []


def test_a_member_owns_the_directories_that_it_writes_into(new_guard: NewGuard, root: Path) -> None:
    # Given the only member
    first = new_guard("first", root)
    join(first)
    # When it has checked for probes once
    first.serve_verifications()
    # Then no other user's process can create the directory of incomplete files, and close it to the first
    assert (root / keys.INCOMING).is_dir()


def test_one_peer_that_sees_the_probe_verifies_the_joining_process(
    new_guard: NewGuard, root: Path, redis_client: Any, logged: list[Any]
) -> None:
    # Given two members, of which one never replies
    first, silent, joining = (new_guard(name, root) for name in ("first", "silent", "joining"))
    join(first)
    join(silent, first)
    logged.clear()
    # When a third process joins
    join(joining, first)
    # Then it is verified, and no trace of it is left once the others have checked for probes
    assert GUARD_VERIFIED in [line["event"] for line in logged]
    first.serve_verifications()
    assert probes(root) == []
    assert redis_client.keys("clipzy:guard:questions*") == redis_client.keys("clipzy:guard:answers:*") == []


def test_a_copy_with_the_same_identity_is_refused(new_guard: NewGuard, root: Path, copy: Path) -> None:
    # Given a member on one directory
    first = new_guard("first", root, visibility_timeout_seconds=0.2)
    join(first)
    # When another process joins on a copy of it
    joining = new_guard("joining", copy, visibility_timeout_seconds=30)
    with pytest.raises(Refused) as caught:
        join(joining, first)
    # Then the message names the first, why files would be lost, and the ways out; the first continues; nothing is left
    for needed in ("worker first", str(root), str(copy), "has not seen", "files go missing", "STORAGE_TYPE=s3"):
        assert needed in str(caught.value)
    first.heartbeat()
    assert [member.name for member in first.members()] == ["first"]
    assert probes(root, copy) == []


def test_a_reply_that_is_not_seen_is_a_refusal_too(new_guard: NewGuard, root: Path) -> None:
    # Given a member that sees the probe, but whose reply gets lost
    first, joining = new_guard("first", root), new_guard("joining", root, visibility_timeout_seconds=0.2)
    join(first)
    with pytest.raises(RetryLater):
        joining.join()
    first.serve_verifications()
    for reply in (root / keys.PROBE).glob("*.first"):
        reply.unlink()
    # Then the joining process is refused for that
    with pytest.raises(Refused, match="this process has not seen"):
        join(joining)
    assert probes(root) == []


def test_a_reply_with_other_bytes_verifies_nothing(new_guard: NewGuard, root: Path) -> None:
    # Given a reply under the right name that nobody wrote who has read the probe
    first, joining = new_guard("first", root), new_guard("joining", root, visibility_timeout_seconds=0.2)
    join(first)
    with pytest.raises(RetryLater):
        joining.join()
    first.serve_verifications()
    (reply,) = (root / keys.PROBE).glob("*.first")
    replace_content(reply)
    # Then the joining process is refused
    with pytest.raises(Refused, match="this process has not seen"):
        join(joining)


def test_a_probe_with_other_bytes_is_not_replied_to(new_guard: NewGuard, root: Path, redis_client: Any) -> None:
    # Given a file under the name of a probe that has not its content
    first, joining = new_guard("first", root), new_guard("joining", root)
    join(first)
    with pytest.raises(RetryLater):
        joining.join()
    (probe,) = (root / keys.PROBE).iterdir()
    replace_content(probe)
    # When a member looks at it, then it has not seen the probe
    first.serve_verifications()
    assert probes(root) == [probe.name]
    assert redis_client.keys("clipzy:guard:answers:*") == []


def replace_content(file: Path) -> None:
    file.unlink()
    file.write_bytes(b"x" * 64)


def test_a_member_whose_process_is_gone_is_not_asked(new_guard: NewGuard, root: Path, redis_client: Any) -> None:
    # Given two members that verify again all the time, of which the older was killed a moment ago
    older, younger = (new_guard(name, root, verify_again_seconds=0) for name in ("older", "younger"))
    join(older)
    join(younger, older)
    record = json.loads(redis_client.hget("clipzy:guard:members", "older"))
    record["process"] = replace(ProcessIdentity.own(), start_ticks="1").as_dict()
    redis_client.hset("clipzy:guard:members", "older", json.dumps(record))
    older.clean_up()
    # When the younger verifies, then it writes no probe that nobody will reply to
    younger.serve_verifications()
    assert probes(root) == []


def test_without_any_reply_a_process_joins_unverified(new_guard: NewGuard, root: Path, logged: list[Any]) -> None:
    join(new_guard("silent", root))
    logged.clear()
    join(new_guard("joining", root, visibility_timeout_seconds=0.1, silence_seconds=0.1))
    assert (GUARD_UNVERIFIED, "no reply") in [(line["event"], line.get("reason")) for line in logged]


def test_a_probe_seen_late_verifies_all_the_same(new_guard: NewGuard, root: Path) -> None:
    # Given a member that sees the probe only after a while, as on a filesystem that caches
    first, joining = new_guard("first", root), new_guard("joining", root)
    join(first)
    with pytest.raises(RetryLater):
        joining.join()
    (probe,) = (root / keys.PROBE).iterdir()
    hidden = probe.rename(root / "hidden")
    first.serve_verifications()
    with pytest.raises(RetryLater):
        joining.join()
    # When it appears, then it verifies
    hidden.rename(probe)
    join(joining, first)


def test_another_identity_is_refused_without_a_probe(new_guard: NewGuard, root: Path, tmp_path: Path) -> None:
    # Given a member, and a joining process on another storage
    join(new_guard("first", root))
    (tmp_path / "other").mkdir()
    # Then it is refused at its first try
    with pytest.raises(Refused, match="is not the one in use"):
        new_guard("joining", tmp_path / "other").join()


def test_two_that_joined_unverified_are_verified_later_and_the_younger_stops(
    new_guard: NewGuard, root: Path, copy: Path
) -> None:
    # Given two members that both joined while no other replied, and that verify again all the time
    older = new_guard("older", root, visibility_timeout_seconds=0.05, verify_again_seconds=0)
    younger = new_guard("younger", copy, visibility_timeout_seconds=0.2, silence_seconds=0, verify_again_seconds=0)
    join(older)
    join(younger)

    # When both do what their threads do
    def younger_is_refused() -> bool:
        older.serve_verifications()
        try:
            younger.serve_verifications()
        except Refused:
            return True
        return False

    # Then the younger is refused, and the older is not
    eventually(younger_is_refused, "a refusal of the younger")
    younger.leave()
    older.serve_verifications()
    older.heartbeat()
    older.admit()


def test_only_a_few_members_are_asked(new_guard: NewGuard, root: Path, redis_client: Any) -> None:
    # Given more members than are asked
    joined: list[Guard] = []
    for name in "abcde":
        joined.append(new_guard(name, root))
        join(joined[-1], *joined)
    # When another one joins
    joining = new_guard("joining", root)
    with pytest.raises(RetryLater):
        joining.join()
    # Then its probe is announced to some, and only they reply
    asked = {key.rpartition(":")[2] for key in redis_client.keys("clipzy:guard:questions:*")}
    assert len(asked) == PEERS
    for other in joined:
        other.serve_verifications()
    replies = {name.rpartition(".")[2] for name in probes(root) if "." in name}
    assert replies == asked
    # And it joins, whoever else is asked to look again
    join(joining, *joined)
