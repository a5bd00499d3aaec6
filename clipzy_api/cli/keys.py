"""`clipzy keys`: makes, lists and revokes API keys; what links and webhooks are signed with."""

import json
from datetime import UTC, datetime, timedelta

import click
import structlog

from clipzy_api.cli.display import table
from clipzy_api.key_audit import last_used
from clipzy_storage import keys as storage_keys
from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.access.link_secrets import SIGNS_AFTER, LinkSecretStore
from clipzy_storage.backends import open_storage
from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.config.settings import MAX_LINK_LIFE_SECONDS, Settings
from clipzy_storage.errors import Damaged, QueueUnavailable
from clipzy_storage.log_events import ACCESS_KEY_CREATED, ACCESS_KEY_REVOKED, ACCESS_LINK_SECRET_ROTATED
from clipzy_storage.models.access import ApiKey, Scope
from clipzy_storage.models.records import rfc3339
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.webhooks.signatures import secrets_of

_COLUMNS = {
    "key_id": "ID",
    "name": "NAME",
    "owner": "OWNER",
    "scopes": "SCOPES",
    "created_at": "CREATED",
    "expires_at": "EXPIRES",
    "revoked_at": "REVOKED",
    "last_used_on": "LAST USED",
}

_OWNER_EXPECTS = "should have 1 to 64 of a-z, 0-9, - and _, with no - or _ first."

log = structlog.stdlib.get_logger("clipzy.keys")


def create(settings: Settings, name: str, *, owner: str, scopes: str, expires_days: int | None, as_json: bool) -> int:
    """Make a key and print it, this once. Raises ``click.UsageError``, ``StorageError``, ``ConfigurationError``."""
    if not storage_keys.is_owner(owner):
        raise click.UsageError(f"--owner {owner[:80]!r} {_OWNER_EXPECTS}")
    expires_at = datetime.now(UTC) + timedelta(days=expires_days) if expires_days else None
    storage = _storage(settings)
    key, text = ApiKeys(storage).create(name, owner=owner, scopes=_scopes(scopes), expires_at=expires_at)
    log.info(ACCESS_KEY_CREATED, key_id=key.key_id, name=name, owner=owner, scopes=",".join(sorted(key.scopes)))
    if as_json:
        click.echo(json.dumps({**_shown(key, None), "key": str(text)}))
        return 0
    click.echo(text)
    click.echo(f"Keep it: {storage.location} has only a digest. Send it as `Authorization: Bearer KEY`.", err=True)
    return 0


def show_all(settings: Settings, *, as_json: bool) -> int:
    """Print every key, revoked ones last. Raises ``StorageError``, ``ConfigurationError``."""
    found = ApiKeys(_storage(settings)).listed()
    used = _last_used(settings)
    rows = [_shown(key, used.get(key_id)) if key else _damaged(key_id) for key_id, key in found.items()]
    if as_json:
        click.echo(json.dumps({"keys": rows}))
        return 0
    click.echo(table(list(_COLUMNS.values()), list(map(_cells, rows))))
    for key_id in (key_id for key_id, key in found.items() if key is None):
        click.echo(f"the record of {key_id} is damaged: `clipzy keys revoke {key_id}` removes it.", err=True)
    return 0


def revoke(settings: Settings, key_id: str, *, as_json: bool) -> int:
    """Refuse a key from now on. Raises ``click.ClickException`` if there is none, ``StorageError``."""
    api_keys = ApiKeys(_storage(settings))
    try:
        key = api_keys.revoke(key_id) if storage_keys.is_key_id(key_id) else None
    except Damaged:
        return _remove(api_keys, key_id, as_json=as_json)
    if key is None:
        raise click.ClickException(f"there is no key {key_id[:80]}. `clipzy keys list` shows the ids.")
    log.info(ACCESS_KEY_REVOKED, key_id=key.key_id, name=key.name, owner=key.owner)
    if as_json:
        click.echo(json.dumps(_shown(key, None)))
    else:
        click.echo(f"{key_id} is revoked; front ends refuse it within 5 s.")
    return 0


def _remove(api_keys: ApiKeys, key_id: str, *, as_json: bool) -> int:
    api_keys.remove(key_id)
    log.info(ACCESS_KEY_REVOKED, key_id=key_id, name=None, owner=None)
    if as_json:
        click.echo(json.dumps({"key_id": key_id, "damaged": True}))
    else:
        click.echo(f"The record of {key_id} was damaged; it is removed, and `clipzy keys list` shows it no more.")
    return 0


def show_webhook_secrets(settings: Settings, owner: str, *, as_json: bool) -> int:
    """Print the secrets of this owner. Raises ``click.ClickException`` if webhooks are off, ``click.UsageError``."""
    if not storage_keys.is_owner(owner):
        raise click.UsageError(f"OWNER {owner[:80]!r} {_OWNER_EXPECTS}")
    if not settings.webhook_secrets:
        raise click.ClickException(
            "WEBHOOK_SECRETS is not set. Set it for front ends and workers: whsec_ and 24 to 64 random bytes in base64."
        )
    secrets = secrets_of(owner, settings.webhook_secrets)
    click.echo(json.dumps({"owner": owner, "secrets": secrets}) if as_json else "\n".join(secrets))
    return 0


def rotate_link_secret(settings: Settings, *, as_json: bool) -> int:
    """Sign links with a new secret. Raises ``StorageError``, ``ConfigurationError``."""
    longest = timedelta(seconds=MAX_LINK_LIFE_SECONDS)  # what front ends are set to is not known here
    until = LinkSecretStore(_storage(settings)).rotate(link_life=longest)
    log.info(ACCESS_LINK_SECRET_ROTATED, previous_until=rfc3339(until))
    if as_json:
        click.echo(json.dumps({"previous_until": rfc3339(until)}))
    else:
        click.echo(
            f"In {SIGNS_AFTER.seconds} s new links have a new secret. Those that exist open until they expire; the old"
            f" secret is accepted until {rfc3339(until)}."
        )
    return 0


def _scopes(text: str) -> list[Scope]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or not set(names) <= set(Scope):
        known = ", ".join(Scope)
        raise click.UsageError(f"--scopes {text[:80]!r} should be some of {known}, separated by commas.")
    return [Scope(name) for name in names]


def _storage(settings: Settings) -> StorageBackend:
    storage = open_storage(settings)
    storage.prepare()
    return storage


def _last_used(settings: Settings) -> dict[str, str]:
    """By the id of the key; empty if Redis is unavailable, which knows it."""
    try:
        return last_used(RedisDatabase(settings.redis_url))
    except QueueUnavailable as error:
        click.echo(f"when keys were last used is unknown: {error}", err=True)
        return {}


def _cells(row: dict[str, object]) -> list[str]:
    shown = row | {"name": "(damaged)"} if row["damaged"] else row
    return [_cell(shown[name]) for name in _COLUMNS]


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return "-" if value is None else str(value)


def _shown(key: ApiKey, last_used_on: str | None) -> dict[str, object]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "owner": key.owner,
        "scopes": sorted(scope.value for scope in key.scopes),
        "created_at": rfc3339(key.created_at),
        "expires_at": rfc3339(key.expires_at),
        "revoked_at": rfc3339(key.revoked_at),
        "last_used_on": last_used_on,
        "damaged": False,
    }


def _damaged(key_id: str) -> dict[str, object]:
    return {**dict.fromkeys(_COLUMNS), "key_id": key_id, "damaged": True}
