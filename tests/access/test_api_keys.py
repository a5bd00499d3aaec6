"""API keys in storage, and how soon a process knows of them."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from clipzy_storage import keys
from clipzy_storage.access.api_keys import ApiKeys, KeyText
from clipzy_storage.access.key_table import KeyTable
from clipzy_storage.backends.base import put_bytes, read_bytes
from clipzy_storage.errors import Damaged, NotFound, StorageUnavailable
from clipzy_storage.models.access import Scope
from tests.support.failing_storage import FailingStorage

DAMAGED = "0" * keys.KEY_ID_LENGTH


def new_key(api_keys: ApiKeys, **changes: Any) -> tuple[str, KeyText]:
    key, text = api_keys.create(
        "a name", **{"owner": "everyone", "scopes": [Scope.READ], "expires_at": None, **changes}
    )
    return key.key_id, text


def damage(storage: FailingStorage, storage_key: str) -> None:
    put_bytes(storage, storage_key, b"{}", content_type="application/json")


def test_only_a_digest_is_kept(storage: FailingStorage) -> None:
    # Given a key
    key_id, text = new_key(ApiKeys(storage))
    # Then its text is of the promised form, opens its record, and its secret is nowhere in storage
    assert str(text).startswith(f"clz_{key_id}_")
    assert KeyText.parse(str(text)) == text
    assert text.opens(ApiKeys(storage).read(key_id))
    assert text.secret.encode() not in read_bytes(storage, keys.api_key(key_id))
    # And neither form shows it
    assert text.secret not in repr(text)
    assert "sha256" not in repr(ApiKeys(storage).read(key_id))


def test_a_key_does_not_open_the_record_of_another(storage: FailingStorage) -> None:
    api_keys = ApiKeys(storage)
    (one, text), (other, _) = new_key(api_keys), new_key(api_keys)
    assert text.opens(api_keys.read(one))
    assert not text.opens(api_keys.read(other))
    assert not KeyText(other, text.secret).opens(api_keys.read(other))


@pytest.mark.parametrize("text", ["", "clz_", "clz_a_b", "xyz_" + "a" * 12 + "_" + "b" * 43, "clz_" + "é" * 12 + "_b"])
def test_other_texts_are_no_keys(text: str) -> None:
    assert KeyText.parse(text) is None


def test_a_revoked_key_is_listed_as_such(storage: FailingStorage) -> None:
    # Given two keys
    api_keys = ApiKeys(storage)
    (kept, _), (gone, _) = new_key(api_keys), new_key(api_keys)
    # When one is revoked, twice, and one that does not exist
    first, again = api_keys.revoke(gone), api_keys.revoke(gone)
    assert api_keys.revoke("0" * keys.KEY_ID_LENGTH) is None
    # Then it is listed with the time of the first
    assert first is not None
    assert first == again
    assert api_keys.ids() == {kept}
    assert list(api_keys.listed()) == [kept, gone]
    assert api_keys.listed()[gone] == first
    with pytest.raises(NotFound):
        api_keys.read(gone)


def test_an_interrupted_revocation_is_finished(storage: FailingStorage) -> None:
    # Given a key whose record was copied and not yet removed
    api_keys = ApiKeys(storage)
    key_id, _ = new_key(api_keys)
    record = read_bytes(storage, keys.api_key(key_id))
    api_keys.revoke(key_id)
    put_bytes(storage, keys.api_key(key_id), record, content_type="application/json")
    # When it is revoked again, Then it is gone
    api_keys.revoke(key_id)
    assert api_keys.ids() == set()


def test_a_damaged_record_hides_no_other(storage: FailingStorage) -> None:
    # Given a damaged record beside a good one
    api_keys = ApiKeys(storage)
    key_id, _ = new_key(api_keys)
    damage(storage, keys.api_key(DAMAGED))
    # When the keys are read again and again
    table = KeyTable(api_keys, refresh_seconds=0)
    with capture_logs() as events:
        for _ in range(3):
            assert table.find(DAMAGED) is None
            assert table.find(key_id) is not None
    # Then the damaged one is named once
    assert [(event["event"], event["key_id"]) for event in events] == [("access.key_damaged", DAMAGED)]
    # And is listed as such, beside the other
    assert [(found, key is None) for found, key in api_keys.listed().items()] == [(DAMAGED, True), (key_id, False)]


@pytest.mark.parametrize("record_of", [keys.api_key, keys.revoked_key])
def test_a_damaged_record_can_be_removed(record_of: Any, storage: FailingStorage) -> None:
    api_keys = ApiKeys(storage)
    damage(storage, record_of(DAMAGED))
    with pytest.raises(Damaged):
        api_keys.revoke(DAMAGED)
    api_keys.remove(DAMAGED)
    assert api_keys.listed() == {}


def test_a_key_that_is_revoked_while_keys_are_listed_is_listed_as_such(storage: FailingStorage) -> None:
    # Given a list of ids from before a revocation
    api_keys = ApiKeys(storage)
    key_id, _ = new_key(api_keys)
    before = api_keys.ids()
    api_keys.revoke(key_id)
    api_keys.ids = lambda: before  # type: ignore[method-assign]  # this moment cannot be met from outside
    # Then it is listed once, as revoked
    (key,) = api_keys.listed().values()
    assert key is not None
    assert key.revoked_at is not None


def test_a_table_tells_revoked_keys_from_unknown_ones(storage: FailingStorage) -> None:
    # Given a key that was revoked before the process, and one while it knows it
    api_keys = ApiKeys(storage)
    (early, _), (late, _) = new_key(api_keys), new_key(api_keys)
    api_keys.revoke(early)
    table = KeyTable(api_keys, refresh_seconds=0)
    assert table.find(late) is not None
    api_keys.revoke(late)
    # Then both were revoked, and another was never there
    assert table.was_revoked(early)
    assert table.was_revoked(late)
    assert not table.was_revoked(keys.new_key_id())
    # And those that were revoked are listed at the first time alone
    before = storage.listings
    table.find(late)
    assert storage.listings == before + 1


def test_unknown_keys_cost_no_storage(storage: FailingStorage) -> None:
    # Given a table that was just read
    table = KeyTable(ApiKeys(storage), refresh_seconds=60)
    table.find("0" * keys.KEY_ID_LENGTH)
    # When many unknown keys are tried, Then nothing is read
    before = storage.listings
    for _ in range(1000):
        assert table.find(keys.new_key_id()) is None
    assert storage.listings == before


def test_a_table_is_read_again(storage: FailingStorage) -> None:
    # Given a table that is always due
    api_keys = ApiKeys(storage)
    table = KeyTable(api_keys, refresh_seconds=0)
    key_id, _ = new_key(api_keys)
    # Then it knows new keys, and forgets those that are revoked
    assert table.find(key_id) is not None
    api_keys.revoke(key_id)
    assert table.find(key_id) is None


def test_a_short_outage_is_bridged_and_a_long_one_is_not(storage: FailingStorage) -> None:
    # Given a table that knows a key, and a storage that fails
    api_keys = ApiKeys(storage)
    key_id, _ = new_key(api_keys)
    bridging = KeyTable(api_keys, refresh_seconds=0, max_age_seconds=60)
    strict = KeyTable(api_keys, refresh_seconds=0, max_age_seconds=0)
    assert bridging.find(key_id) is not None
    assert strict.find(key_id) is not None
    storage.fails = True
    # Then knowledge that is young enough is used, and nobody is let in by one that is older
    assert bridging.find(key_id) is not None
    with pytest.raises(StorageUnavailable):
        strict.find(key_id)
