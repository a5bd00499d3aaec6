"""docs/storage.md has every setting of the storage and every message that an operator can get of it."""

import re
from pathlib import Path
from types import ModuleType

import pytest

from clipzy_storage.backends.local import errors as local_errors
from clipzy_storage.backends.local import storage
from clipzy_storage.backends.s3 import errors, session
from clipzy_storage.config import settings
from clipzy_storage.guard import guard, heartbeat, mount_verifier, refusals, startup

PAGE = (Path(__file__).parents[2] / "docs/storage.md").read_text()
ONE_LINE = " ".join(PAGE.split())

GUARD_PHRASES = {
    "with STORAGE_TYPE=local and LOCAL_STORAGE_SHARED not true": refusals,
    "Another worker is already running": refusals,
    "is not the one in use": refusals,
    "is declared shared, but is not the same for": refusals,
    "may not read": mount_verifier,
    "is not a URL": session,
    "AWS_DEFAULT_REGION is missing": session,
    "boto3 cannot be set up": session,
    "credentials for the S3 service are unavailable now": session,
    "there is no such bucket": errors,
    "the S3 service does not know the access key": errors,
    "the secret key is wrong": errors,
    "the session token is wrong": errors,
    "has expired": errors,
    "this machine's clock is": errors,
    "is in another region": errors,
    "the S3 service denies": errors,
    "which Clipzy needs": errors,
    "its TLS certificate cannot be trusted": errors,
    "no credentials were found": errors,
    "what responds is not an S3 service": errors,
    "that is not a valid name of a bucket": errors,
    "holds a damaged": storage,
    "cannot be created there": storage,
}


def source_of(module: ModuleType) -> str:
    """What the module says, with its strings joined where they go over a line."""
    return re.sub(r'"\s+f?"', "", Path(str(module.__file__)).read_text())


@pytest.mark.parametrize("name", [name for name in settings.names() if re.search("STORAGE|S3|WORKER_COUNT", name)])
def test_every_setting_is_there(name: str) -> None:
    assert f"`{name}" in PAGE


@pytest.mark.parametrize("phrase", GUARD_PHRASES)
def test_every_message_is_there_as_it_is_said(phrase: str) -> None:
    assert phrase in ONE_LINE
    assert phrase in source_of(GUARD_PHRASES[phrase])


@pytest.mark.parametrize("phrase", sorted({found for found, _ in local_errors.START_FAILURES.values()}))
def test_every_start_failure_of_a_directory_is_there(phrase: str) -> None:
    assert f"`{phrase}`" in PAGE


def test_every_line_of_the_guard_s_log_is_there() -> None:
    said = {
        line
        for module in (guard, heartbeat, mount_verifier, startup)
        for line in re.findall(r"guard\.\w+(?=: )", source_of(module))
    }
    # What is not said in trouble, or is followed by the refusal itself, explains itself.
    explained = said - {"guard.left_silently", "guard.refused"}
    assert explained
    assert [line for line in sorted(explained) if f"`{line}" not in PAGE] == []


def test_the_numbers_are_those_of_the_code() -> None:
    timeouts = session.Timeouts()
    assert (
        f"{timeouts.connect_seconds:.0f} s for a connection and {timeouts.read_seconds:.0f} s for an answer" in ONE_LINE
    )
    assert timeouts.tries == 3
    assert f"{storage.FREE_RESERVE_BYTES >> 20} MiB are kept free" in ONE_LINE
    assert f"the guard's proof waits {mount_verifier.VISIBILITY_TIMEOUT_SECONDS:.0f} s" in ONE_LINE
