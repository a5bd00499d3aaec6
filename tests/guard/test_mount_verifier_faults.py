"""Rule 4 when something is in the way: late or forbidden files, a Redis that forgets, processes that end."""

import io
import json
import time
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import NotFound, QueueUnavailable, StorageUnavailable
from clipzy_storage.guard.guard import NotYet, Refused
from clipzy_storage.guard.mount_verifier import MountVerifier
from tests.support.guards import Join, join, probes

QUESTIONS, ANSWERS = "clipzy:guard:questions", "clipzy:guard:answers:*"


class LateStorage(LocalStorage):
    """Shows a new file only after a while, and at first an empty one, as a filesystem does that remembers."""

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
    """May not read what others write; a test that runs as root cannot be refused by the system itself."""

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> BinaryIO:
        if key.startswith(keys.PROBE):
            raise StorageUnavailable("the storage does not answer: Permission denied")
        return super().open(key, start=start, length=length)


class VanishedStorage(LocalStorage):
    """Was there when it was prepared, and is gone for all that comes after."""

    def open(self, key: str, **_: Any) -> BinaryIO:
        self.check()
        return super().open(key)

    def check(self) -> None:
        raise StorageUnavailable("the storage folder is gone; mount it again")


def test_files_that_appear_late_on_both_sides_prove(new_guard: Join, root: Path) -> None:
    # Given a filesystem that shows each side the other's files late
    first = new_guard("first", root, kind=LateStorage, proof_seconds=20)
    newcomer = new_guard("newcomer", root, kind=LateStorage, proof_seconds=20)
    join(first)
    # When the newcomer asks
    began = time.monotonic()
    join(newcomer, first)
    # Then it was waited for in both directions, and proved
    assert time.monotonic() - began > 2 * LateStorage.empty_seconds
    first.attend()
    assert probes(root) == []


def test_files_that_appear_later_than_can_be_waited_for_disprove(new_guard: Join, root: Path) -> None:
    first = new_guard("first", root, kind=LateStorage, proof_seconds=0.2)
    join(first)
    with pytest.raises(Refused, match="has not seen a file that this process wrote"):
        join(new_guard("newcomer", root, proof_seconds=0.2), first)


def test_a_peer_that_may_not_read_the_file_disproves_and_says_so(new_guard: Join, root: Path) -> None:
    # Given a member that runs as another user, whom the files of the newcomer are closed to
    first = new_guard("first", root, kind=ForeignStorage, proof_seconds=0.2)
    join(first)
    # Then the newcomer is refused for that
    with pytest.raises(Refused, match=r"it may not read .*the same user"):
        join(new_guard("newcomer", root), first)
    assert probes(root) == []


def test_a_newcomer_that_may_not_read_the_answer_is_refused_instead_of_waiting_for_ever(
    new_guard: Join, root: Path
) -> None:
    first = new_guard("first", root)
    join(first)
    with pytest.raises(Refused, match=r"this process may not read .*the same user"):
        join(new_guard("newcomer", root, kind=ForeignStorage, proof_seconds=0.2), first)


def test_a_peer_whose_own_mount_is_gone_refuses_nobody(
    new_guard: Join, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a member that lives, but whose mount has vanished
    monkeypatch.setattr("clipzy_storage.guard.mount_verifier.SILENCE_SECONDS", 0.1)
    first, newcomer = new_guard("first", root, kind=VanishedStorage), new_guard("newcomer", root, proof_seconds=0.2)
    join(first)
    with pytest.raises(NotYet):
        newcomer.join(is_new=True)
    # When it looks at the question
    with pytest.raises(StorageUnavailable):
        first.attend()
    # Then it has kept silent, and the newcomer joins unproved
    join(newcomer)
    assert "guard.unproved: nobody answered" in caplog.text


def test_a_newcomer_that_ends_during_its_proof_leaves_nothing(new_guard: Join, root: Path, redis_client: Any) -> None:
    # Given a newcomer whose question is open, and a member that has answered it
    first, newcomer = new_guard("first", root), new_guard("newcomer", root)
    join(first)
    with pytest.raises(NotYet):
        newcomer.join(is_new=True)
    first.attend()
    assert len(probes(root)) == 2
    # When the newcomer ends, and then the member
    newcomer.retire()
    first.retire()
    # Then nothing is left
    assert probes(root) == []
    assert redis_client.keys(QUESTIONS) == redis_client.keys(ANSWERS) == []


def test_what_a_killed_newcomer_asked_is_dropped_in_the_end(new_guard: Join, root: Path, redis_client: Any) -> None:
    # Given an open question, whose asker was killed long ago
    first, newcomer = new_guard("first", root), new_guard("newcomer", root)
    join(first)
    with pytest.raises(NotYet):
        newcomer.join(is_new=True)
    first.attend()
    ((nonce, text),) = redis_client.hgetall(QUESTIONS).items()
    redis_client.hset(QUESTIONS, nonce, json.dumps(json.loads(text) | {"asked_at": time.time() - 700}))
    # When a member looks at the questions
    first.attend()
    first.attend()
    # Then it and the answers to it are gone; the asker's own file is swept like all that is unfinished
    assert redis_client.keys(QUESTIONS) == redis_client.keys(ANSWERS) == []
    assert probes(root) == [nonce]


def test_a_question_that_redis_has_lost_is_asked_again(
    new_guard: Join, root: Path, redis_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a newcomer in the middle of its proof
    caplog.set_level("INFO")
    first, newcomer = new_guard("first", root), new_guard("newcomer", root)
    join(first)
    with pytest.raises(NotYet):
        newcomer.join(is_new=True)
    # When Redis loses the question
    redis_client.delete(QUESTIONS)
    join(newcomer, first)
    # Then it is proved all the same, and nothing is left of either
    assert "guard.proved" in caplog.text
    first.attend()
    assert probes(root) == []


def test_who_was_frozen_asks_again(new_guard: Join, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a newcomer whose question is open
    first, newcomer = new_guard("first", root), new_guard("newcomer", root, proof_seconds=0.2)
    join(first)
    with pytest.raises(NotYet):
        newcomer.join(is_new=True)
    question = probes(root)
    # When it comes to itself after its time is over, in which nobody may have been able to answer
    monkeypatch.setattr("clipzy_storage.guard.mount_verifier.AWAY_SECONDS", -1)
    with pytest.raises(NotYet):
        newcomer.join(is_new=True)
    # Then it asks anew
    assert len(probes(root)) == 1
    assert probes(root) != question


def test_an_answer_that_redis_did_not_take_is_given_again(
    new_guard: Join, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a member whose answer is refused by a Redis that is just going away
    caplog.set_level("INFO")
    first, newcomer = new_guard("first", root), new_guard("newcomer", root)
    join(first)
    with pytest.raises(NotYet):
        newcomer.join(is_new=True)

    def refuse(*_: object) -> None:
        raise QueueUnavailable("Redis cannot be reached", certain=True)

    with monkeypatch.context() as redis_away:
        redis_away.setattr(MountVerifier, "_say", refuse)
        with pytest.raises(QueueUnavailable):
            first.attend()
    # When Redis is back, then the newcomer gets it
    join(newcomer, first)
    assert "guard.proved" in caplog.text
