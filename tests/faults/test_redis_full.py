"""A full Redis refuses a script at its first write, or lets it run to its end: no job's record is ever half changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from clipzy_storage import keys
from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.jobs import store as jobs_module
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import Claim, Lease
from clipzy_storage.models.records import ErrorCode
from clipzy_storage.redis_client import RedisDatabase
from tests.support.jobs import claimed, let_leases_expire, new_job, submitted

SCRIPTS = Path(jobs_module.__file__).parent / "lua"
REFUSED = "refused for certain"
Step = Callable[[JobStore, str, Claim], object]

STEPS: dict[str, Step] = {
    "submit": lambda jobs, _waiting, _claim: jobs.submit(new_job(job_id="job_new")).first_id,
    "claim": lambda jobs, waiting, _claim: getattr(
        jobs.claim(waiting, nonce="n2", storage_id="a-storage"), "token", ""
    ),
    "heartbeat": lambda jobs, _waiting, claim: jobs.heartbeat(claim, percent=50, stage="next"),
    "release": lambda jobs, _waiting, claim: jobs.release(claim, "crashed"),
    "commit": lambda jobs, _waiting, claim: jobs.commit(claim, attempt_prefix="a/", result_sha256="0"),
    "fail": lambda jobs, _waiting, claim: _failed(jobs, claim),
    "reap": lambda jobs, _waiting, claim: bool(jobs.reap([Lease(claim.job.job_id, claim.token, None)], nonce="r")),
    "due_for_notification": lambda jobs, _waiting, _claim: bool(jobs.due_for_notification(notifications={})) or True,
}


def _failed(jobs: JobStore, claim: Claim) -> bool:
    jobs.fail(claim.job.job_id, claim.token, ErrorCode.JOB_TIMEOUT, "late")
    return True


@pytest.fixture
def jobs(redis_url: str) -> JobStore:
    return JobStore(RedisDatabase(redis_url), lease_seconds=60)


@contextmanager
def full(client: Any) -> Iterator[None]:
    client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)


def answer_of(step: Callable[[], object]) -> object:
    try:
        return step()
    except QueueUnavailable as error:
        return REFUSED if error.certain else error


def everything(url: str) -> dict[bytes, bytes]:
    with redis.Redis.from_url(url) as client:
        return {key: client.dump(key) for key in client.keys("*")}


@pytest.mark.parametrize("name", STEPS)
def test_a_script_is_refused_whole_or_runs_whole(name: str, jobs: JobStore, redis_url: str, redis_client: Any) -> None:
    """With a script that goes on after a refused write (`pcall`), half of it is done."""
    # Given a job that waits, one whose worker is lost, and one at work
    waiting = submitted(jobs).job_id
    claimed(jobs, submitted(jobs).job_id, "n0")
    let_leases_expire(redis_client)
    claim = claimed(jobs, submitted(jobs).job_id)
    before = everything(redis_url)
    # When a step is tried while Redis is full
    with full(redis_client):
        answer = answer_of(lambda: STEPS[name](jobs, waiting, claim))
        after = everything(redis_url)
    # Then it is either refused for certain, and nothing has changed, or it answers as it will do with room
    again = STEPS[name](jobs, waiting, claim)
    assert again
    assert after == before if answer == REFUSED else again == answer


def test_no_script_goes_on_after_a_refusal() -> None:
    """Redis lets a script write on once it has written anything: only an error that ends it keeps it whole."""
    sources = {path.name: path.read_text() for path in SCRIPTS.glob("*.lua")}
    assert sources
    texts = {name: source.replace("pcall(cjson.decode,", "") for name, source in sources.items()}  # it writes nothing
    assert [name for name, source in texts.items() if "pcall" in source] == []


@pytest.mark.usefixtures("redis_url")
def test_redis_keeps_what_this_rests_on(redis_client: Any) -> None:
    """Whether it has room is asked before the first write that needs some, and not again after any write."""
    key = keys.REDIS_PREFIX + "test"
    with full(redis_client):
        with pytest.raises(redis.OutOfMemoryError):
            redis_client.eval("redis.call('GET', KEYS[1]) redis.call('SET', KEYS[1], 1)", 1, key)
        assert redis_client.eval("redis.call('DEL', KEYS[1]) return redis.call('INCR', KEYS[1])", 1, key) == 1
