"""The threads that keep a membership, on a real Redis: what they do where the storage holds them up."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import StorageUnavailable
from clipzy_storage.guard import startup
from clipzy_storage.guard.guard import Guard
from clipzy_storage.guard.heartbeat import HeartbeatThreads
from tests.support.guards import Join, probes
from tests.support.waiting import eventually


@pytest.fixture
def dead_mount(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A storage that hangs for the whole test. A real one is in tests/e2e, where it takes its time."""
    comes_back = threading.Event()

    def hang(*_: object) -> None:
        comes_back.wait(60)
        raise StorageUnavailable("the storage does not answer: Host is down")

    monkeypatch.setattr(LocalStorage, "prepare", hang)
    monkeypatch.setattr("clipzy_storage.guard.heartbeat.FIRST_TRY_SECONDS", 0.1)
    monkeypatch.setattr("clipzy_storage.guard.heartbeat.STOP_SECONDS", 0.1)
    yield
    comes_back.set()


@pytest.mark.usefixtures("dead_mount")
def test_a_front_end_starts_over_a_dead_mount_and_says_so(make_settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    # When a front end enters while the mount hangs
    admission = startup.enter(make_settings(), role="web", on_refused=print, wait=False)
    # Then it is held up for a moment only, and says why it is not ready
    assert "guard.no_answer: the storage has not answered at all" in caplog.text
    # And it can be stopped, though its thread cannot
    assert admission.keeper.stop() is False


def test_who_joins_says_so_once(
    new_guard: Join, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a newcomer that has waited for its storage before it joins
    caplog.set_level("INFO")
    guard = new_guard("first", root)
    guard.window_seconds = 0.4
    tries = iter([StorageUnavailable("the storage does not answer")])

    def prove() -> Guard:
        for trouble in tries:
            raise trouble
        return guard

    keeper = HeartbeatThreads(prove, on_refused=print)
    beats: list[str] = []
    join = guard.join

    def join_counted(*, is_new: bool) -> None:
        join(is_new=is_new)
        beats.append("beat")

    monkeypatch.setattr(guard, "join", join_counted)
    # When it has beaten a few times
    keeper.enter(wait=True)
    eventually(lambda: len(beats) > 3, "some beats")
    assert keeper.stop() is True
    # Then it has said once that it joined
    assert caplog.text.count("guard.joined") == 1


def test_who_stops_in_the_middle_of_a_proof_leaves_nothing(new_guard: Join, root: Path) -> None:
    # Given a member that never answers, and a newcomer that waits for its answer
    new_guard("first", root).join(is_new=True)
    keeper = HeartbeatThreads(lambda: new_guard("newcomer", root), on_refused=print)
    entering = threading.Thread(target=keeper.enter, kwargs={"wait": True})
    entering.start()
    eventually(lambda: probes(root), "a question")
    # When it is told to stop
    assert keeper.stop() is True
    entering.join(10)
    # Then its question is withdrawn
    assert probes(root) == []
