"""Every storage: how it is verified at the start, its identity, and how a start is retracted."""

import re
from concurrent.futures import ProcessPoolExecutor

from clipzy_storage import keys
from clipzy_storage.backends.base import put_json, read_bytes
from tests.storage.backends import RACERS, Backend, prepare_together


def test_the_identity_stays(backend: Backend) -> None:
    # Given a storage that was prepared
    first = backend.open()
    identity = first.prepare()

    # When it is prepared again, by the same process and by others
    again = [first.prepare(), backend.open().prepare(), backend.open().prepare()]

    # Then its identity is the same: 128 bits, under a known key
    assert again == [identity] * 3
    assert re.fullmatch("[0-9a-f]{32}", identity)
    assert read_bytes(first, keys.STORAGE_ID).decode().strip() == identity


def test_processes_that_start_together_agree(backend: Backend, processes: ProcessPoolExecutor) -> None:
    # When several processes prepare a new storage at the same moment
    starts = [processes.submit(prepare_together, backend) for _ in range(RACERS)]
    identities = {start.result() for start in starts}

    # Then they see one identity, and so does a process that starts later
    assert identities == {backend.open().prepare()}


def test_the_verification_leaves_nothing_but_the_identity(backend: Backend) -> None:
    # When a storage is prepared
    storage = backend.open()
    storage.prepare()

    # Then this is all there is
    assert [blob.key for blob in storage.list(".clipzy/")] == [keys.STORAGE_ID]


def test_a_start_is_retracted(backend: Backend) -> None:
    # Given a storage that this object created
    storage = backend.open()
    identity = storage.prepare()

    # When it is retracted, twice
    storage.retract()
    storage.retract()

    # Then the next process finds none and writes another
    assert backend.open().prepare() != identity


def test_a_start_is_not_retracted_once_something_was_written(backend: Backend) -> None:
    # Given a storage that this object created, and a record in it
    storage = backend.open()
    identity = storage.prepare()
    put_json(storage, "jobs/open/x.json", {})

    # When it is retracted
    storage.retract()

    # Then all of it stays
    assert backend.open().prepare() == identity
    assert storage.exists("jobs/open/x.json")


def test_a_process_that_did_not_create_a_storage_retracts_nothing(backend: Backend) -> None:
    # Given a storage that another process created
    identity = backend.open().prepare()
    reader = backend.open()
    reader.prepare()

    # When that process retracts its start
    reader.retract()

    # Then the storage has the same identity
    assert backend.open().prepare() == identity
