"""A storage that does not answer, as a dead network mount, blocks one thread however often it is asked."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from clipzy_api.storage_probe import StorageProbe
from clipzy_storage.errors import StorageFull, StorageUnavailable


def test_whoever_asks_meanwhile_waits_for_the_same_answer() -> None:
    # Given a storage that hangs
    asked, mounted = [], threading.Event()

    def ask() -> int:
        asked.append(1)
        mounted.wait(30)
        return 42

    probe = StorageProbe(ask, timeout_seconds=0.05)
    for _ in range(3):
        with pytest.raises(StorageUnavailable, match="does not answer"):
            probe.answer()
    # When it answers again, then those get it who still wait
    patient = StorageProbe(ask, timeout_seconds=30)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(patient.answer) for _ in range(2)]
        mounted.set()
        assert [answer.result() for answer in answers] == [42, 42]
    # And the hanging one was asked once
    assert len(asked) <= 3


def test_an_error_reaches_whoever_asks() -> None:
    def ask() -> int:
        raise StorageFull

    with pytest.raises(StorageFull):
        StorageProbe(ask, timeout_seconds=30).answer()
