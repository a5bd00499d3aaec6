"""Rule 4 on a real Redis and real folders: what is declared shared is proved by a fresh file."""

from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.guard.guard import NotYet, Refused
from tests.support.guards import Join, join, probes
from tests.support.waiting import eventually


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """Another folder with the identity of the first, as a copy or an overlay has it."""
    LocalStorage(root, shared=True).prepare()
    own = tmp_path / "copy" / ".clipzy"
    own.mkdir(parents=True)
    (own / "storage-id").write_bytes((root / keys.STORAGE_ID).read_bytes())
    return tmp_path / "copy"


def test_who_is_alone_joins_unproved(new_guard: Join, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    new_guard("first", root).join(is_new=True)
    assert "guard.unproved: alone" in caplog.text
    assert probes(root) == []


def test_who_has_joined_owns_the_folders_that_it_writes_into(new_guard: Join, root: Path) -> None:
    # Given a member, alone so far
    first = new_guard("first", root)
    join(first)
    # When it has looked around once
    first.attend()
    # Then no newcomer of another user can make the folder of unfinished files, and close it to the first
    assert (root / keys.INCOMING).is_dir()


def test_one_who_sees_the_file_proves_the_newcomer(
    new_guard: Join, root: Path, redis_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # Given two members, of whom one never answers
    caplog.set_level("INFO")
    first, silent, newcomer = (new_guard(name, root) for name in ("first", "silent", "newcomer"))
    join(first)
    join(silent, first)
    caplog.clear()
    # When a newcomer joins
    join(newcomer, first)
    # Then it is proved, and not a trace of it is left once the others have looked
    assert "guard.proved" in caplog.text
    first.attend()
    assert probes(root) == []
    assert redis_client.keys("clipzy:guard:questions") == redis_client.keys("clipzy:guard:answers:*") == []


def test_a_copy_with_the_same_identity_is_disproved(new_guard: Join, root: Path, copy: Path) -> None:
    # Given a member on one folder
    first = new_guard("first", root, proof_seconds=0.2)
    join(first)
    # When another comes on a copy of it
    newcomer = new_guard("newcomer", copy, proof_seconds=30)
    with pytest.raises(Refused) as caught:
        join(newcomer, first)
    # Then it is told of the first, why files would be lost, and the ways out; the first goes on, and nothing is left
    for needed in ("worker first", str(root), str(copy), "has not seen", "files go missing", "STORAGE_TYPE=s3"):
        assert needed in str(caught.value)
    first.join(is_new=False)
    assert [member.name for member in first.members()] == ["first"]
    assert probes(root, copy) == []


def test_an_answer_that_is_not_seen_disproves_too(new_guard: Join, root: Path) -> None:
    # Given a member that sees the newcomer's file, but whose answer gets lost
    first, newcomer = new_guard("first", root), new_guard("newcomer", root, proof_seconds=0.2)
    join(first)
    with pytest.raises(NotYet):
        newcomer.join(is_new=True)
    first.attend()
    for echo in (root / keys.PROBE).glob("*.first"):
        echo.unlink()
    # Then the newcomer is refused for that
    with pytest.raises(Refused, match="this process has not seen"):
        join(newcomer)
    assert probes(root) == []


def test_where_all_keep_silent_the_newcomer_joins_unproved(
    new_guard: Join, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("clipzy_storage.guard.mount_verifier.SILENCE_SECONDS", 0.1)
    join(new_guard("silent", root))
    caplog.clear()
    join(new_guard("newcomer", root, proof_seconds=0.1))
    assert "guard.unproved: nobody answered" in caplog.text


def test_a_file_seen_late_proves_all_the_same(new_guard: Join, root: Path) -> None:
    # Given a member to whom the file is shown only after a while, as by a filesystem that remembers
    first, newcomer = new_guard("first", root), new_guard("newcomer", root)
    join(first)
    with pytest.raises(NotYet):
        newcomer.join(is_new=True)
    (question,) = (root / keys.PROBE).iterdir()
    hidden = question.rename(root / "hidden")
    first.attend()
    with pytest.raises(NotYet):
        newcomer.join(is_new=True)
    # When it appears, then it proves
    hidden.rename(question)
    join(newcomer, first)


def test_another_identity_is_refused_without_asking(new_guard: Join, root: Path, tmp_path: Path) -> None:
    # Given a member, and a newcomer on another storage
    join(new_guard("first", root))
    (tmp_path / "other").mkdir()
    # Then it is refused at its first try
    with pytest.raises(Refused, match="is not the one in use"):
        new_guard("newcomer", tmp_path / "other").join(is_new=True)


def test_two_who_joined_unproved_prove_it_later_and_the_younger_stops(
    new_guard: Join, root: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two members that both joined while nobody answered
    monkeypatch.setattr("clipzy_storage.guard.mount_verifier.SILENCE_SECONDS", 0.0)
    monkeypatch.setattr("clipzy_storage.guard.guard.PROVE_AGAIN_SECONDS", 0.0)
    older, younger = new_guard("older", root, proof_seconds=0.2), new_guard("younger", copy, proof_seconds=0.2)
    join(older)
    join(younger)
    monkeypatch.setattr("clipzy_storage.guard.mount_verifier.SILENCE_SECONDS", 30.0)

    # When both do what their keepers do
    def younger_is_refused() -> bool:
        older.attend()
        try:
            younger.attend()
        except Refused:
            return True
        return False

    # Then the younger is refused, and the older is not
    eventually(younger_is_refused, "a refusal of the younger")
    younger.leave()
    older.attend()
    older.join(is_new=False)
    older.admit()
