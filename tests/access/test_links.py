"""Signatures of links to local storage, and the secrets that they are made with."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from structlog.testing import capture_logs

from clipzy_storage import keys
from clipzy_storage.access.link_secrets import SIGNS_AFTER, LinkSecretStore
from clipzy_storage.access.link_signatures import has_expired, is_signed, signed_query
from clipzy_storage.errors import StorageUnavailable
from tests.support.failing_storage import FailingStorage

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
KEY = "results/job_x/output.json"


@pytest.fixture
def store(storage: FailingStorage) -> LinkSecretStore:
    return LinkSecretStore(storage, refresh_seconds=0)


def parts_of(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


def test_a_signature_is_of_one_key_and_one_time() -> None:
    # Given a signed link
    parts = parts_of(signed_query(KEY, secret="s", expires_at=NOW))
    # Then it is valid as it is, with the secret that signed it among others
    assert is_signed(KEY, **parts, secrets=["t", "s"])
    # And for nothing else
    assert not is_signed(KEY, **parts, secrets=["t"])
    assert not is_signed(f"{KEY}x", **parts, secrets=["s"])
    assert not is_signed(KEY, **{**parts, "expires": f"{parts['expires']}0"}, secrets=["s"])
    assert not is_signed(KEY, **{**parts, "signature": ""}, secrets=["s"])
    assert not is_signed(KEY, **{**parts, "signature": "é"}, secrets=["s"])
    # And it expires at that time
    assert not has_expired(parts["expires"], now=NOW - timedelta(seconds=1))
    assert has_expired(parts["expires"], now=NOW)


def signing(store: LinkSecretStore) -> str:
    return store.secrets().signing(datetime.now(UTC))


def test_the_first_secret_is_made_once_and_signs_at_once(store: LinkSecretStore) -> None:
    assert signing(store) == signing(store)


def test_an_old_secret_is_accepted_until_its_last_link_has_expired(store: LinkSecretStore) -> None:
    # Given a secret
    first = signing(store)
    # When it is rotated, and again some time later
    until = store.rotate(link_life=timedelta(hours=1))
    second = store.secrets().signing(datetime.now(UTC) + SIGNS_AFTER)
    store.rotate(link_life=timedelta(hours=2))
    secrets = store.secrets()
    newest = secrets.signing(datetime.now(UTC) + SIGNS_AFTER)
    # Then the newest signs, and each older one is accepted until the links that it signed have expired
    assert len({first, second, newest}) == 3
    soon = datetime.now(UTC)
    assert set(secrets.accepted(soon)) == {first, second, newest}
    assert set(secrets.accepted(until)) == {second, newest}
    assert secrets.accepted(soon + timedelta(hours=3)) == [newest]


def test_a_new_secret_signs_once_every_front_end_accepts_it(storage: FailingStorage) -> None:
    # Given a front end that has just read the secrets, and another that reads them after a rotation
    before, after = LinkSecretStore(storage, refresh_seconds=60), LinkSecretStore(storage, refresh_seconds=0)
    known = before.secrets()
    after.rotate(link_life=timedelta(hours=1))
    # Then what the second signs now is accepted by the first
    now = datetime.now(UTC)
    assert after.secrets().signing(now) in known.accepted(now)
    # And the old secret, which still signs, is accepted until those links have expired
    last_link = now + SIGNS_AFTER + timedelta(hours=1)
    assert known.signing(now) in after.secrets().accepted(last_link)
    # And later it signs with another one
    assert after.secrets().signing(now + SIGNS_AFTER) not in known.accepted(now)


def test_an_outage_is_bridged_with_what_is_known(storage: FailingStorage) -> None:
    # Given a front end that knows the secrets, and one that does not
    store = LinkSecretStore(storage, refresh_seconds=0)
    known = store.secrets()
    storage.fails = True
    # Then only the first signs and accepts as before, and says so once
    with capture_logs() as events:
        assert [store.secrets() for _ in range(3)] == [known] * 3
    assert [(event["event"], event["what"]) for event in events] == [("access.not_refreshed", "the link secrets")]
    with pytest.raises(StorageUnavailable):
        LinkSecretStore(storage).secrets()


def test_a_storage_that_hangs_holds_one_request(storage: FailingStorage) -> None:
    # Given a storage that hangs in the hands of one request
    store = LinkSecretStore(storage, refresh_seconds=0)
    known = store.secrets()
    storage.answers.clear()
    with ThreadPoolExecutor() as pool:
        held = pool.submit(store.secrets)
        assert storage.is_waited_for.wait(30)
        try:
            # Then others are answered meanwhile
            assert pool.submit(store.secrets).result(timeout=30) == known
        finally:
            storage.answers.set()
        assert held.result() == known


def test_secrets_that_are_removed_are_not_accepted_any_more(storage: FailingStorage) -> None:
    # Given a secret that was rotated
    store = LinkSecretStore(storage, refresh_seconds=0)
    store.rotate(link_life=timedelta(hours=1))
    before = store.secrets().accepted(datetime.now(UTC))
    # When an operator removes them all
    for key in (keys.LINK_SECRET, *(blob.key for blob in storage.list(keys.ROTATED_LINK_SECRETS))):
        storage.delete(key)
    # Then links have a new one, and no old one opens
    assert len(before) == 2
    assert not set(before) & set(store.secrets().accepted(datetime.now(UTC)))


def test_secrets_are_not_shown(store: LinkSecretStore) -> None:
    assert signing(store) not in repr(store.secrets())
