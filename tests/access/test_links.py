"""Signatures of links to local storage, and the secrets that they are made with."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from clipzy_storage.access.link_secrets import LinkSecretStore
from clipzy_storage.access.link_signatures import has_expired, is_signed, signed_query
from clipzy_storage.backends.local.storage import LocalStorage

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
KEY = "results/job_x/output.json"


@pytest.fixture
def store(tmp_path: Path) -> LinkSecretStore:
    storage = LocalStorage(tmp_path / "storage", shared=False)
    storage.prepare()
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


def test_the_first_secret_is_made_once(store: LinkSecretStore) -> None:
    assert store.secrets().current == store.secrets().current


def test_an_old_secret_is_accepted_until_its_last_link_has_expired(store: LinkSecretStore) -> None:
    # Given a secret
    first = store.secrets().current
    # When it is rotated, and again some time later
    until = store.rotate(link_life=timedelta(hours=1))
    second = store.secrets().current
    store.rotate(link_life=timedelta(hours=2))
    secrets = store.secrets()
    # Then the newest signs, and each older one is accepted until the links that it signed have expired
    assert len({first, second, secrets.current}) == 3
    soon = datetime.now(UTC)
    assert set(secrets.accepted(soon)) == {first, second, secrets.current}
    assert set(secrets.accepted(until)) == {second, secrets.current}
    assert secrets.accepted(soon + timedelta(hours=3)) == [secrets.current]


def test_secrets_are_not_shown(store: LinkSecretStore) -> None:
    assert store.secrets().current not in repr(store.secrets())
