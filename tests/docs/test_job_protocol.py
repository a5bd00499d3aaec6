"""docs/job-protocol.md and docs/guard.md have every transition and every key; docs/reliability.md every failpoint."""

import re
from pathlib import Path
from typing import get_args

import pytest

from clipzy_storage import failpoints, guard, jobs, keys
from clipzy_storage.jobs import types

DOCS = Path(__file__).parents[2] / "docs"
PROTOCOL, GUARD, RELIABILITY = (
    " ".join((DOCS / name).read_text().split()) for name in ("job-protocol.md", "guard.md", "reliability.md")
)
JOB_SOURCES = sorted(Path(str(jobs.__file__)).parent.glob("*.py"))
JOB_SCRIPTS = sorted((Path(str(jobs.__file__)).parent / "lua").glob("*.lua"))
GUARD_SOURCES = [path for path in sorted(Path(str(guard.__file__)).parent.rglob("*")) if path.suffix in {".py", ".lua"}]


def keys_in(sources: list[Path], pattern: str) -> list[str]:
    """What the sources append to the prefix of all keys, up to the first part that varies."""
    return sorted({name for path in sources for name in re.findall(pattern, path.read_text())})


@pytest.mark.parametrize(
    "key", [*keys_in(JOB_SCRIPTS, r"prefix \.\. '([\w:]+)'"), *keys_in(JOB_SOURCES, r'\.key\(f?"([\w:]+)')]
)
def test_every_redis_key_of_a_job_is_there(key: str) -> None:
    assert f"`{key}" in PROTOCOL


@pytest.mark.parametrize("key", keys_in(GUARD_SOURCES, r"""['"](guard:[\w:-]+)['"]"""))
def test_every_redis_key_of_the_guard_is_there(key: str) -> None:
    assert f"`{key}" in GUARD


@pytest.mark.parametrize("state", ["queued", "running", "committing", "completed", "failed", "cancelled"])
def test_every_state_is_in_the_diagram(state: str) -> None:
    diagram = PROTOCOL[PROTOCOL.index("stateDiagram") :]
    assert f"> {state}:" in diagram


@pytest.mark.parametrize("transition", ["submit", "claim", "commit", "fail", "release", "reap", "cancel", "finish"])
def test_every_transition_is_a_script_and_is_there(transition: str) -> None:
    assert transition in {path.stem for path in JOB_SCRIPTS}
    assert re.search(rf"\b{transition}\b", PROTOCOL)


@pytest.mark.parametrize("reason", get_args(types.ReleaseReason))
def test_every_reason_of_a_release_is_there(reason: str) -> None:
    assert f"`{reason}`" in PROTOCOL


@pytest.mark.parametrize(
    "key",
    [
        keys.upload("{video_id}", "{container}"),
        keys.video_record("{video_id}"),
        keys.open_job("{job_id}"),
        keys.done_job("{job_id}"),
        "jobs/by-day/{date}/{job_id}",
        keys.DAY_INDEX_COMPLETE,
        keys.cancellation_request("{job_id}"),
        keys.deliveries("{job_id}"),
        keys.result_index("{job_id}"),
        keys.expired_result("{job_id}"),
        keys.STORAGE_ID,
        f"{keys.INCOMING}/",
        f"{keys.PROBE}/",
    ],
)
def test_every_storage_key_is_there(key: str) -> None:
    assert f"`{key}" in PROTOCOL


@pytest.mark.parametrize("name", [*failpoints.FRONT_END, *failpoints.ATTEMPT, *failpoints.ADMIN, *failpoints.WEBHOOK])
def test_every_failpoint_is_there(name: str) -> None:
    assert f"`{name}`" in RELIABILITY


@pytest.mark.parametrize("action", get_args(failpoints.Action))
def test_every_action_of_a_failpoint_is_there(action: str) -> None:
    assert f"`{action}`" in RELIABILITY
    assert failpoints.VARIABLE in RELIABILITY
