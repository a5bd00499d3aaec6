"""Redis dies, hangs, cuts connections, is demoted, is full: workers live on, and what they do is done once."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faulty_redis import FaultyRedisDeployment, deployment_on_faulty_redis
from tests.support.tcp_proxy import Fault
from tests.support.waiting import eventually

LEASE_SECONDS = 2
OUTAGE_SECONDS = 4  # longer than a lease and its grace; how long it lasts is the fault itself, so that is slept for


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyRedisDeployment]:
    directory = tmp_path_factory.mktemp("outages")
    with deployment_on_faulty_redis(directory, JOB_LEASE_SECONDS=str(LEASE_SECONDS)) as deployment:
        yield deployment


class Story:
    """Jobs at work and jobs that wait, when Redis fails."""

    def __init__(self, deployment: FaultyRedisDeployment, clip: Path, *, at_work: int = 2, waiting: int = 0) -> None:
        self._deployment, self._clip = deployment, clip
        self.worker = deployment.running_worker()
        self._log_start = len(self.worker.output())
        self.jobs = [*deployment.held_jobs(clip, count=at_work), *deployment.submit(clip, count=waiting)]

    def wait_for_log(self, text: str, *, times: int = 1) -> None:
        """Wait until the worker has logged ``text`` so often since the beginning."""
        eventually(lambda: self.worker.output()[self._log_start :].count(text) >= times, f"{times} x {text!r}")

    def waits_for_work(self) -> None:
        """Wait until the worker does, connected and in a BRPOP."""
        eventually(lambda: self._deployment.redis.blocked_clients() > 0, "a worker that waits for work")

    def submit(self) -> bool:
        """Whether one more was taken; it may be refused, but not lost."""
        with self._clip.open("rb") as stream:
            answer = self._deployment.api.post("/jobs", files={"file": (self._clip.name, stream)})
        if answer.status_code == 202:
            self.jobs.append(answer.json()["job_id"])
        return answer.status_code == 202

    def finishes_well(self) -> None:
        """The jobs at work went on, each job was begun once and is completed, and the worker still runs."""
        self._deployment.let_go()
        eventually(self.submit, "a job that is taken")
        assert self._deployment.outcomes(self.jobs) == [("completed", 1)] * len(self.jobs)
        assert [self._deployment.claims(job_id) for job_id in self.jobs] == [1] * len(self.jobs)
        assert self.worker.is_running()


def refused(deployment: FaultyRedisDeployment, clip: Path) -> None:
    """A submission is refused in time, and leaves nothing."""
    before, began_at = deployment.stored(), time.monotonic()
    with clip.open("rb") as stream:
        answer = deployment.api.post("/jobs", files={"file": (clip.name, stream)})
    assert (answer.status_code, answer.json()["code"]) == (503, "QUEUE_UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) > 0
    assert time.monotonic() - began_at < 5
    assert deployment.stored() == before


def test_redis_is_killed_and_comes_back_from_its_file(shared: FaultyRedisDeployment, clip: Path) -> None:
    """Without the reaper's delay after an outage and its second pass the jobs at work are requeued and redone."""
    story = Story(shared, clip, at_work=2, waiting=2)
    # When Redis is killed and stays down for longer than a lease and its grace
    shared.redis.server.kill()
    time.sleep(OUTAGE_SECONDS)
    # And is restarted from its file
    shared.redis.server.start(open_guard=False)
    # Then no worker was taken for lost, and the backlog is done
    story.finishes_well()


@pytest.mark.parametrize("seconds", [OUTAGE_SECONDS, pytest.param(70, marks=pytest.mark.long)])
def test_redis_hangs(shared: FaultyRedisDeployment, clip: Path, seconds: int) -> None:
    """With five seconds for each answer, as a worker has, the front end is too slow to refuse the submit."""
    story = Story(shared, clip, at_work=2, waiting=1)
    # When Redis hangs for longer than a lease and its grace
    shared.redis.server.freeze()
    try:
        time.sleep(seconds)
        refused(shared, clip)
    finally:
        shared.redis.server.thaw()
    # Then everything goes on when it wakes
    story.finishes_well()


@pytest.mark.parametrize(
    ("repetitions", "pause_seconds"), [(4, 0.0), pytest.param(15, 2.0, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_a_storm_of_broken_connections(
    shared: FaultyRedisDeployment, clip: Path, repetitions: int, pause_seconds: float
) -> None:
    """With late acknowledgement, and claims granted in any state, a second copy starts within a second.

    Without `broker_connection_retry` the worker waits for no more work once its connection broke.
    """
    # Given a job at work, and a worker that waits for more
    story = Story(shared, clip, at_work=1)
    for _ in range(repetitions):
        # When Redis breaks off all connections
        story.waits_for_work()
        shared.redis.server.cut_clients()
        story.submit()
        time.sleep(pause_seconds)
        # And so does the network, the new ones included
        story.waits_for_work()
        shared.redis.proxy.suffer(Fault("reset"))
        story.submit()
        time.sleep(pause_seconds)
        shared.redis.proxy.heal()
    # Then what was taken meanwhile is done once
    story.finishes_well()


def test_redis_is_demoted_and_promoted(shared: FaultyRedisDeployment, clip: Path) -> None:
    """Without `broker_channel_error_retry` the worker claims no further job, and exits after the one at work."""
    story = Story(shared, clip, at_work=1)
    story.waits_for_work()
    # When Redis becomes the replica of a server that does not exist, so that it refuses writes
    shared.redis.server.demote()
    try:
        story.wait_for_log("Connection to broker lost")
        time.sleep(OUTAGE_SECONDS)
        refused(shared, clip)
    finally:
        shared.redis.server.promote()
    # Then everything goes on when it is promoted
    story.finishes_well()


def test_redis_is_full(shared: FaultyRedisDeployment, clip: Path) -> None:
    """A worker writes nothing to the queue, so it keeps its connection; the records take nothing meanwhile."""
    story = Story(shared, clip, at_work=2, waiting=1)
    # When Redis has no room left for longer than a lease and its grace
    with shared.redis.server.full():
        time.sleep(OUTAGE_SECONDS)
        refused(shared, clip)
        # And the work at hand ends meanwhile
        shared.let_go()
        story.wait_for_log("lease.redis_unavailable")
    # Then everything goes on when there is room
    story.finishes_well()
