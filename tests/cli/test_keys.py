"""`clipzy keys`: a new user's first key, and what operators see and take away."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.webhooks.signatures import secrets_of
from tests.support.processes import clipzy
from tests.support.webhook_receiver import OTHER_SECRET, SECRET


def run(directory: Path, *arguments: str, **given: str) -> str:
    """What the command printed, which succeeded."""
    ended = clipzy("keys", *arguments, cwd=directory, **given)
    assert ended.returncode == 0, ended.stderr
    return str(ended.stdout)


def listed(directory: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(directory, "list", "--json"))["keys"]
    return found


def test_a_key_is_made_listed_and_revoked(tmp_path: Path) -> None:
    # Given an empty directory, when keys are made there
    first = run(tmp_path, "create", "laptop").strip()
    second = json.loads(
        run(tmp_path, "create", "phone", "--owner", "ada", "--scopes", "read", "--expires-days", "3", "--json")
    )
    # Then they are printed, and listed without their secrets
    assert first.startswith("clz_")
    assert second["key"].startswith(f"clz_{second['key_id']}_")
    by_name = {key["name"]: key for key in listed(tmp_path)}
    assert by_name["laptop"]["scopes"] == ["read", "write"]
    assert by_name["laptop"]["expires_at"] is None
    assert (by_name["phone"]["owner"], by_name["phone"]["scopes"]) == ("ada", ["read"])
    expires_at = datetime.fromisoformat(by_name["phone"]["expires_at"])
    assert timedelta(days=2, hours=23) < expires_at - datetime.now(UTC) < timedelta(days=3)
    table = run(tmp_path, "list")
    assert table.splitlines()[0].split()[:4] == ["ID", "NAME", "OWNER", "SCOPES"]
    for secret in (first, second["key"]):
        assert secret.rpartition("_")[2] not in table
    # When one is revoked, Then it is listed as such
    assert "is revoked" in run(tmp_path, "revoke", second["key_id"])
    assert {key["name"]: key["revoked_at"] is not None for key in listed(tmp_path)} == {"laptop": False, "phone": True}
    # And as JSON
    third = json.loads(run(tmp_path, "create", "tablet", "--json"))["key_id"]
    assert json.loads(run(tmp_path, "revoke", third, "--json"))["revoked_at"] is not None
    assert datetime.fromisoformat(json.loads(run(tmp_path, "rotate-link-secret", "--json"))["previous_until"])


def test_what_is_made_and_revoked_is_logged(tmp_path: Path) -> None:
    # When a key is made and revoked, and the link secret rotated, with a log of JSON
    made = clipzy("keys", "create", "laptop", "--json", cwd=tmp_path, LOG_FORMAT="json")
    key = json.loads(made.stdout)
    revoked = clipzy("keys", "revoke", key["key_id"], cwd=tmp_path, LOG_FORMAT="json")
    rotated = clipzy("keys", "rotate-link-secret", cwd=tmp_path, LOG_FORMAT="json")
    # Then each is one event that names the key and not its secret
    events = [json.loads(ended.stderr.splitlines()[0]) for ended in (made, revoked, rotated)]
    assert [event["event"] for event in events] == [
        "access.key_created",
        "access.key_revoked",
        "access.link_secret_rotated",
    ]
    assert [event.get("key_id") for event in events] == [key["key_id"], key["key_id"], None]
    assert key["key"].rpartition("_")[2] not in made.stderr + revoked.stderr + rotated.stderr


def test_a_damaged_record_is_listed_and_can_be_removed(tmp_path: Path) -> None:
    # Given a key, and another whose record was damaged by hand
    run(tmp_path, "create", "laptop")
    damaged = json.loads(run(tmp_path, "create", "phone", "--json"))["key_id"]
    record = tmp_path / "storage/access/keys" / f"{damaged}.json"
    record.chmod(0o644)
    record.write_text("{")
    # When keys are listed
    table = clipzy("keys", "list", cwd=tmp_path)
    # Then both are there, and what to do about the second
    assert table.returncode == 0, table.stderr
    assert "laptop" in table.stdout
    assert f"{damaged}  (damaged)  -" in table.stdout
    assert f"`clipzy keys revoke {damaged}` removes it" in table.stderr
    assert {key["key_id"] for key in listed(tmp_path) if key["damaged"]} == {damaged}
    # When it is revoked, Then it is gone
    assert "it is removed" in run(tmp_path, "revoke", damaged)
    assert [key["name"] for key in listed(tmp_path)] == ["laptop"]


def test_a_rotated_secret_is_accepted_for_the_longest_life_of_a_link(tmp_path: Path) -> None:
    """The command does not know what the front ends are set to."""
    rotated = clipzy("keys", "rotate-link-secret", cwd=tmp_path, LOG_FORMAT="json")
    event = json.loads(rotated.stderr.splitlines()[0])
    assert datetime.fromisoformat(event["previous_until"]) - datetime.now(UTC) > timedelta(days=7)


@pytest.mark.parametrize(
    ("arguments", "status", "found"),
    [
        (("create", "x", "--scopes", "all"), 2, "--scopes 'all' should be some of read, write, metrics, admin"),
        (("create", "x", "--scopes", ","), 2, "--scopes ',' should be some of"),
        (("create", "x", "--owner", "Ada Lovelace"), 2, "--owner 'Ada Lovelace' should have 1 to 64 of a-z"),
        (("create", "x", "--expires-days", "0"), 2, "--expires-days"),
        (("revoke", "../../etc"), 1, "there is no key ../../etc"),
        (("revoke", "0" * 12), 1, "there is no key 000000000000. `clipzy keys list` shows the ids."),
    ],
)
def test_a_mistake_is_named(arguments: tuple[str, ...], status: int, found: str, tmp_path: Path) -> None:
    ended = clipzy("keys", *arguments, cwd=tmp_path)
    assert ended.returncode == status
    assert found in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["web", "up"])
def test_beyond_loopback_a_front_end_needs_a_choice(command: str, tmp_path: Path) -> None:
    # When it is started for other machines, and nobody said who may use it
    ended = clipzy(command, "--host", "0.0.0.0", "--port", "0", cwd=tmp_path)
    # Then it does not start, and names both choices and the command for the first key
    assert ended.returncode == 78
    (line,) = ended.stderr.splitlines()
    for text in ("CLIPZY_AUTH is missing", "CLIPZY_AUTH=keys", "CLIPZY_AUTH=none", "clipzy keys create", "127.0.0.1"):
        assert text in line
    # And nothing is left behind
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["yes", "key", "NONE"])
def test_another_choice_is_refused(value: str, tmp_path: Path) -> None:
    ended = clipzy("web", cwd=tmp_path, CLIPZY_AUTH=value)
    assert ended.returncode == 78
    assert f"CLIPZY_AUTH={value} is wrong. Set it to keys or none" in ended.stderr


def test_a_key_of_a_client_is_not_shown(tmp_path: Path) -> None:
    ended = clipzy("submit", "x.mp4", cwd=tmp_path, CLIPZY_API_KEY="clz_secret")
    assert ended.returncode == 78
    assert "CLIPZY_API_KEY=*** is wrong" in ended.stderr


def test_the_secrets_of_webhooks_are_those_of_an_owner(tmp_path: Path) -> None:
    secrets = f"{SECRET},{OTHER_SECRET}"
    assert run(tmp_path, "webhook-secret", "everyone", WEBHOOK_SECRETS=secrets).split() == [SECRET, OTHER_SECRET]
    derived = run(tmp_path, "webhook-secret", "ada", WEBHOOK_SECRETS=secrets).split()
    assert derived == secrets_of("ada", [SECRET, OTHER_SECRET])
    shown = json.loads(run(tmp_path, "webhook-secret", "ada", "--json", WEBHOOK_SECRETS=secrets))
    assert shown == {"owner": "ada", "secrets": derived}


@pytest.mark.parametrize(
    ("owner", "secrets", "status", "problem"),
    [
        ("ada", "", 1, "WEBHOOK_SECRETS is not set"),
        ("Ada!", SECRET, 2, "OWNER 'Ada!' should have"),
        ("ada", "whsec_canary", 78, "WEBHOOK_SECRETS=*** is wrong"),
    ],
)
def test_there_are_no_secrets_of_webhooks(tmp_path: Path, owner: str, secrets: str, status: int, problem: str) -> None:
    ended = clipzy("keys", "webhook-secret", owner, cwd=tmp_path, WEBHOOK_SECRETS=secrets)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert problem in ended.stderr
    assert "canary" not in ended.stderr
