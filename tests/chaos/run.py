"""One run: a deployment, its callers and its nemesis; then the drain, and what is found after it."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.chaos.aftermath import Aftermath
from tests.chaos.announcements import announced, unannounced
from tests.chaos.checker import Verdict, judge
from tests.chaos.clients import Client
from tests.chaos.deployment import Deployment, deployed
from tests.chaos.history import History
from tests.chaos.leftovers import aftermath, listed
from tests.chaos.nemesis import Nemesis, faults_for
from tests.chaos.watcher import FINAL, Watcher
from tests.support.api_client import ApiClient
from tests.support.media import clips
from tests.support.waiting import eventually

SHOTS = ((12, 13), (60, 60), (200, 200, 200), (500, 500))  # frames: work of 0.3 to 3 s
MOST_UNFINISHED = 6
LAST_ANSWER_SECONDS = (
    90.0  # a front end that joins after an outage of Redis waits 30 s, and may have been killed just then
)


@dataclass(frozen=True)
class Plan:
    """What to do. The same seed gives the same faults, though not at the same points of the jobs."""

    storage: str
    seconds: float
    seed: int
    pause_seconds: float = 2.0
    lose_redis: bool = True
    kinds: frozenset[str] = frozenset()  # of faults; none named: all that this storage knows
    front_ends: int = 2
    workers: int = 3
    clients: int = 3
    drain_seconds: float = 600.0


@dataclass(frozen=True)
class Outcome:
    """What came of it; the history is in ``history``."""

    plan: Plan
    faults: Counter[str]
    accepted: int
    after: Aftermath
    verdict: Verdict
    history: Path
    drained_in_seconds: float


def run(plan: Plan, directory: Path, *, clips_directory: Path) -> Outcome:
    """Do it in ``directory``, which must be there. Whatever happens, nothing that was started outlives this."""
    history = History(directory / "history.jsonl")
    sources = [clips.cuts_clip(clips_directory, shot_frames=frames, sound=False).path for frames in SHOTS]
    try:
        sizes = {"front_ends": plan.front_ends, "workers": plan.workers}
        with (
            announced(history, seed=plan.seed) as receiver,
            deployed(directory, history, storage=plan.storage, receiver=receiver, **sizes) as deployment,
        ):
            after = _run(plan, deployment, sources)
        # Not before everything has been stopped: also what does not stop is a finding.
        return _outcome(plan, history, after)
    finally:
        history.close()


def _run(plan: Plan, deployment: Deployment, sources: list[Path]) -> Aftermath:
    history = deployment.history
    _ask_for_idempotency(deployment, sources[0])
    known = faults_for(plan.storage, lose_redis=plan.lose_redis)
    kinds = {kind: fault for kind, fault in known.items() if kind in (plan.kinds or known)}
    nemesis = Nemesis(deployment, kinds, seed=plan.seed, pause_seconds=plan.pause_seconds)
    watcher = Watcher(
        deployment.urls, deployment.owners, seed=plan.seed, storage=deployment.store.storage, history=history
    )
    watcher.start()
    try:
        with _callers(plan, deployment, sources, watcher):
            nemesis.run(seconds=plan.seconds)
        history.add("calm")
        _drain(plan, deployment, watcher)
        history.add("drained")
    finally:
        watcher.stop()
    return aftermath(deployment)


def _outcome(plan: Plan, history: History, after: Aftermath) -> Outcome:
    (idempotency,), (calm,), (drained,) = (history.of(what) for what in ("idempotency", "calm", "drained"))
    return Outcome(
        plan=plan,
        faults=Counter(event["kind"] for event in history.of("fault")),
        accepted=len({event["job_id"] for event in history.of("accepted")}),
        after=after,
        verdict=judge(history.events, after, idempotent=idempotency["served"]),
        history=history.path,
        drained_in_seconds=drained["at"] - calm["at"],
    )


@contextmanager
def _callers(plan: Plan, deployment: Deployment, sources: list[Path], watcher: Watcher) -> Iterator[None]:
    """Clients at work. After the block each gets its last 202, for which a front end must be up."""
    clients = [
        Client(
            number,
            deployment.urls,
            deployment.owners[number % len(deployment.owners)],
            seed=plan.seed,
            clips=sources,
            webhook_url=deployment.receiver.url(),
            history=deployment.history,
            wants_more=lambda: len(watcher.unfinished()) < MOST_UNFINISHED,
        )
        for number in range(1, plan.clients + 1)
    ]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client.stop()
        deadline = time.monotonic() + LAST_ANSWER_SECONDS
        for client in clients:
            client.join(max(0, deadline - time.monotonic()))
            if client.is_alive():
                deployment.history.add("unexpected", found=f"{client.name} was never accepted")
            client.give_up()
            client.join()


def _drain(plan: Plan, deployment: Deployment, watcher: Watcher) -> None:
    """Wait until all jobs have finished, accepted or only perhaps; then recover those that only storage knows.

    And then until all of them have been announced.
    """
    deadline = time.monotonic() + plan.drain_seconds
    _wait_until_finished(deployment, watcher, deadline)
    recovered = deployment.workers[0].run("recover")
    deployment.history.add("recover", status=recovered.returncode, output=recovered.stdout[-2000:] + recovered.stderr)
    _wait_until_finished(deployment, watcher, deadline)
    after = aftermath(deployment)
    with suppress(AssertionError):  # the checker will report it
        eventually(
            lambda: not list(unannounced(deployment.history.events, after)),
            "the announcements of all jobs",
            seconds=deadline - time.monotonic(),
        )


def _wait_until_finished(deployment: Deployment, watcher: Watcher, deadline: float) -> None:
    with suppress(AssertionError):  # what has not finished by then is lost, as the checker will report
        eventually(
            lambda: not watcher.unfinished() and _all_finished(deployment),
            "the terminal states of all jobs",
            seconds=deadline - time.monotonic(),
        )


def _all_finished(deployment: Deployment) -> bool:
    with suppress(requests.RequestException, AssertionError):
        return all(job["status"] in FINAL for job in listed(deployment).values())
    return False


def _ask_for_idempotency(deployment: Deployment, clip: Path) -> None:
    """Find out, while all is calm, whether a key repeated finds the first job."""
    owner, history = deployment.owners[0], deployment.history
    api = ApiClient(deployment.urls[0], headers=owner.headers)
    video_id = api.upload(clip, to="/videos", name="probe.mp4")["video_id"]
    jobs = set()
    for _ in range(2):
        history.add("asked", key="probe", path="/jobs")
        answer = api.post("/jobs", json={"video_id": video_id}, headers={"Idempotency-Key": "probe"})
        jobs.add(answer.json()["job_id"])
        job_id = answer.json()["job_id"]
        about = {"job_id": job_id, "video_id": video_id, "owner": owner.name}
        history.add("accepted", key="probe", **about, reuse=True, webhook=False)
    api.close()
    history.add("idempotency", served=len(jobs) == 1)
