"""docs/storage.md and docs/guard.md have every setting of the storage and every message that operators may get."""

import re
from pathlib import Path
from types import ModuleType

import pytest

from clipzy_storage import guard, log_events
from clipzy_storage.backends import local, s3
from clipzy_storage.backends.local import storage
from clipzy_storage.backends.s3 import session
from clipzy_storage.config import settings
from clipzy_storage.guard import mount_verifier

DOCS = Path(__file__).parents[2] / "docs"
STORAGE, GUARD = (" ".join((DOCS / name).read_text().split()) for name in ("storage.md", "guard.md"))

S3_MESSAGES = [
    "AWS_DEFAULT_REGION is missing",
    "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL",
    "boto3 cannot be set up",
    "are unavailable now",
    "cannot be reached",
    "denies",
    "does not know the access key",
    "has expired",
    "is not an S3 service",
    "its TLS certificate cannot be trusted",
    "in another region",
    "no credentials were found",
    "name of a bucket",
    "the secret key is wrong",
    "the session token",
    "there is no such bucket",
    "this machine's clock is",
    "which Clipzy needs",
]
GUARD_MESSAGES = [
    "Another worker is already running",
    "is declared shared, but is not the same for",
    "is not the one in use",
    "may not read",
    "with STORAGE_TYPE=local",
]


def source_of(package: ModuleType) -> str:
    """All of the package's own code, with its strings joined where they go over a line."""
    text = "\n".join(path.read_text() for path in sorted(Path(str(package.__file__)).parent.glob("*.py")))
    return re.sub(r'"\s+f?"', "", text)


def refusals_of_a_directory() -> list[str]:
    """What the pairs of a finding and its remedy in the local backend say was found."""
    return sorted(set(re.findall(r'\("((?:has|is|may) [^"]+)", "[A-Z]', source_of(local))))


@pytest.mark.parametrize("name", [name for name in settings.names() if re.search("STORAGE|S3|WORKER_COUNT", name)])
def test_every_setting_is_there(name: str) -> None:
    assert f"`{name}" in STORAGE


@pytest.mark.parametrize("message", S3_MESSAGES)
def test_every_message_of_s3_is_there(message: str) -> None:
    assert f"`{message}" in STORAGE
    assert message in source_of(s3)


@pytest.mark.parametrize("message", GUARD_MESSAGES)
def test_every_message_of_the_guard_is_there(message: str) -> None:
    assert message in GUARD
    assert message in source_of(guard)


@pytest.mark.parametrize("message", [*refusals_of_a_directory(), "cannot be created there", "holds a damaged"])
def test_every_refusal_of_a_local_storage_is_there(message: str) -> None:
    assert f"`{message}" in STORAGE
    assert message in source_of(local)


def test_every_event_of_the_guard_s_log_is_there() -> None:
    """All but those that ``docs/operations.md`` alone has: they concern requests and errors of ours."""
    named = {value for value in vars(log_events).values() if str(value).startswith("guard.")}
    assert len(named) > 5
    assert [event for event in sorted(named) if f"`{event}`" not in GUARD] == []


def test_the_numbers_are_those_of_the_code() -> None:
    timeouts = session.Timeouts()
    connect, read = f"{timeouts.connect_seconds:.0f} s", f"{timeouts.read_seconds:.0f} s"
    assert f"{connect} for a connection and {read} for an answer" in STORAGE
    assert timeouts.tries == 3
    assert f"{storage.FREE_RESERVE_BYTES >> 20} MiB and {storage.FREE_RESERVE_INODES} inodes are kept free" in STORAGE
    assert f"mount verification waits {mount_verifier.VISIBILITY_TIMEOUT_SECONDS:.0f} s" in STORAGE
    assert f"{mount_verifier.VISIBILITY_TIMEOUT_SECONDS:.0f} s after it was announced" in GUARD
