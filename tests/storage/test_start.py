"""Every storage: how it is proved at start, who it is, and how a start is taken back."""

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

    # Then it is who it was: 128 bits, under the key that everybody knows
    assert again == [identity] * 3
    assert re.fullmatch("[0-9a-f]{32}", identity)
    assert read_bytes(first, keys.STORAGE_ID).decode().strip() == identity


def test_processes_that_start_together_agree(backend: Backend, processes: ProcessPoolExecutor) -> None:
    # When several processes prepare a new storage at the same moment
    starts = [processes.submit(prepare_together, backend) for _ in range(RACERS)]
    identities = {start.result() for start in starts}

    # Then they see one identity, and so does who comes later
    assert identities == {backend.open().prepare()}


def test_the_proof_leaves_nothing_but_the_identity(backend: Backend) -> None:
    # When a storage is prepared
    storage = backend.open()
    storage.prepare()

    # Then this is all there is
    assert [blob.key for blob in storage.list(".clipzy/")] == [keys.STORAGE_ID]


def test_a_start_is_taken_back(backend: Backend) -> None:
    # Given a storage that this object made
    storage = backend.open()
    identity = storage.prepare()

    # When it is taken back, twice
    storage.retract()
    storage.retract()

    # Then who comes next finds none and makes another
    assert backend.open().prepare() != identity


def test_a_start_is_not_taken_back_once_something_was_written(backend: Backend) -> None:
    # Given a storage that this object made, and a record in it
    storage = backend.open()
    identity = storage.prepare()
    put_json(storage, "jobs/open/x.json", {})

    # When it is taken back
    storage.retract()

    # Then all of it stays
    assert backend.open().prepare() == identity
    assert storage.exists("jobs/open/x.json")


def test_who_did_not_make_a_storage_takes_nothing_back(backend: Backend) -> None:
    # Given a storage that another made
    identity = backend.open().prepare()
    newcomer = backend.open()
    newcomer.prepare()

    # When the newcomer takes its start back
    newcomer.retract()

    # Then the storage is who it was
    assert backend.open().prepare() == identity
