"""docs/storage.md has every setting of the storage and every message that an operator can get of it."""

import re
from pathlib import Path
from types import ModuleType

import pytest

from clipzy_storage import entrance, guard, keeper, local, proof, s3_connection, s3_refusals, settings

PAGE = (Path(__file__).parents[2] / "docs/storage.md").read_text()
ONE_LINE = " ".join(PAGE.split())

GUARD_PHRASES = {
    "with STORAGE_TYPE=local and LOCAL_STORAGE_SHARED not true": guard,
    "Another worker is already running": guard,
    "is not the one in use": guard,
    "is declared shared, but is not the same for": guard,
    "may not read": proof,
    "is no address": s3_connection,
    "AWS_DEFAULT_REGION is missing": s3_connection,
    "boto3 cannot be set up": s3_connection,
    "credentials for the store cannot be had now": s3_connection,
    "there is no such bucket": s3_refusals,
    "the store does not know the access key": s3_refusals,
    "the secret key is wrong": s3_refusals,
    "the session token is wrong": s3_refusals,
    "has expired": s3_refusals,
    "this machine's clock is": s3_refusals,
    "lies in another region": s3_refusals,
    "the store denies": s3_refusals,
    "which Clipzy needs": s3_refusals,
    "its TLS certificate cannot be trusted": s3_refusals,
    "no credentials were found": s3_refusals,
    "what answers is no S3 service": s3_refusals,
    "that is no name of a bucket": s3_refusals,
    "holds a damaged": local,
    "cannot be made there": local,
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


@pytest.mark.parametrize("phrase", sorted({found for found, _ in local._REFUSALS.values()}))
def test_every_refusal_of_a_folder_is_there(phrase: str) -> None:
    assert f"`{phrase}`" in PAGE


def test_every_line_of_the_guard_s_log_is_there() -> None:
    said = {
        line
        for module in (guard, keeper, proof, entrance)
        for line in re.findall(r"guard\.\w+(?=: )", source_of(module))
    }
    # What is not said in trouble, or is followed by the refusal itself, explains itself.
    explained = said - {"guard.left_silently", "guard.refused"}
    assert explained
    assert [line for line in sorted(explained) if f"`{line}" not in PAGE] == []


def test_the_numbers_are_those_of_the_code() -> None:
    timeouts = s3_connection.Timeouts()
    assert (
        f"{timeouts.connect_seconds:.0f} s for a connection and {timeouts.read_seconds:.0f} s for an answer" in ONE_LINE
    )
    assert timeouts.tries == 3
    assert f"{local.FREE_RESERVE_BYTES >> 20} MiB are kept free" in ONE_LINE
    assert f"the guard's proof waits {proof.PROOF_SECONDS:.0f} s" in ONE_LINE
