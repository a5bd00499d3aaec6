"""API keys in storage, and how soon a process knows of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.access.api_keys import ApiKeys, KeyText
from clipzy_storage.access.key_table import KeyTable
from clipzy_storage.backends.base import BlobInfo, put_bytes, read_bytes
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.errors import NotFound, StorageUnavailable
from clipzy_storage.models.access import Scope


class FailingStorage(LocalStorage):
    """Stops to answer when it is told to: a directory cannot be made to."""

    fails = False
    listings = 0

    def list(self, prefix: str, *, after: str = "") -> Iterator[BlobInfo]:
        self.listings += 1
        if self.fails:
            raise StorageUnavailable("it hangs")
        return super().list(prefix, after=after)


@pytest.fixture
def storage(tmp_path: Path) -> FailingStorage:
    found = FailingStorage(tmp_path / "storage", shared=False)
    found.prepare()
    return found


def new_key(api_keys: ApiKeys, **changes: Any) -> tuple[str, KeyText]:
    key, text = api_keys.create(
        "a name", **{"owner": "everyone", "scopes": [Scope.READ], "expires_at": None, **changes}
    )
    return key.key_id, text


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
    assert api_keys.revoked() == [first]
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
    api_keys = ApiKeys(storage)
    key_id, _ = new_key(api_keys)
    put_bytes(storage, keys.api_key("0" * keys.KEY_ID_LENGTH), b"{}", content_type="application/json")
    table = KeyTable(api_keys)
    assert table.find("0" * keys.KEY_ID_LENGTH) is None
    assert table.find(key_id) is not None


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
