"""The guard on mounts: whole processes, each node in a mount namespace, where one path is another filesystem."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.guard import members
from clipzy_storage.guard.mount_verifier import VISIBILITY_TIMEOUT_SECONDS
from clipzy_storage.log_events import (
    GUARD_NO_ANSWER,
    GUARD_VERIFIED,
    JANITOR_REBUILT,
    JOB_STORAGE_UNAVAILABLE,
    WORKER_READY,
)
from clipzy_storage.redis_client import RedisDatabase
from tests.support.deployment import WAYS_OUT, refused
from tests.support.mount_namespaces import BOUND, STRANGER, STRANGER_ID, Node, need_namespaces, need_users
from tests.support.processes import Frozen, free_port, media_process_below
from tests.support.waiting import eventually

NewNode = Callable[..., Node]


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    need_namespaces()


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """A directory that every user of the machine can reach."""
    with tempfile.TemporaryDirectory(prefix="clipzy-mounts-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture(scope="module")
def share(base: Path) -> Path:
    """The path on which all nodes mount the share. Below it lies an empty directory."""
    (base / "share").mkdir()
    return base / "share"


class Pair:
    """One front end and one worker, each in a node, on one directory."""

    def __init__(self, new_node: NewNode, disk: Path, *, of: int) -> None:
        disk.mkdir()
        self.disk = disk
        self.web, self.worker = new_node(f"web-{of}", of=of), new_node(f"worker-{of}", of=of)
        for node in (self.web, self.worker):
            node.bind(disk)
        self.api = self.web.web()
        self.working = self.worker.worker()


@pytest.fixture(scope="module")
def new_node(base: Path, share: Path, redis_server: str) -> Iterator[NewNode]:
    """Nodes that end with the module. Those of one deployment share a number, and by it a database."""
    databases: dict[int, str] = {}
    made: list[Node] = []
    with ExitStack() as nodes:

        def make(name: str, *, of: int = 1) -> Node:
            url = databases[of] = databases.get(of) or fresh_database(redis_server, of)
            made.append(Node(base / name, share, redis_url=url))
            return nodes.enter_context(made[-1])

        yield make
        for process in [process for node in made for process in node.processes]:
            process.send(signal.SIGTERM)  # to all of them; then each is waited for


def fresh_database(redis_server: str, number: int) -> str:
    url = redis_server.removesuffix("/0") + f"/{number}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    members.open_fresh(RedisDatabase(url))
    return url


@pytest.fixture(scope="module")
def pair(new_node: NewNode, base: Path) -> Pair:
    return Pair(new_node, base / "disk", of=1)


def probes(root: Path) -> list[str]:
    return [path.name for path in (root / ".clipzy" / "probe").iterdir()]


def test_processes_on_the_same_directory_are_verified_and_work(pair: Pair, new_node: NewNode, clip: Path) -> None:
    # Given a front end and a worker on one directory
    # When a second worker mounts it as well
    node = new_node("second-worker")
    node.bind(pair.disk)
    second = node.worker()
    # Then both workers were verified
    for worker in (pair.working, second):
        worker.wait_for_event(GUARD_VERIFIED)
    # And so does the doctor
    examined = node.run("doctor")
    assert examined.wait() == 0, examined.output()
    assert "another process sees what is written here" in examined.output()
    # And jobs complete, and no probe files are left
    assert pair.api.run(clip)["status"] == "completed"
    eventually(lambda: probes(pair.disk) == [], "an empty probe directory")
    assert second.stop() == 0


def own_tmpfs(node: Node, _: Path) -> None:
    node.mount("-t", "tmpfs", "none")


def not_mounted(_node: Node, _disk: Path) -> None:
    pass


def subdirectory(node: Node, disk: Path) -> None:
    (disk / "below").mkdir()
    node.bind(disk / "below")


def read_only(node: Node, disk: Path) -> None:
    node.bind(disk)
    node.mount("-o", "remount,bind,ro")


ANOTHER = ("is not the one in use", "files go missing", *WAYS_OUT)


@pytest.mark.parametrize("command", [["worker"], ["web", "--port", "0"]], ids=["worker", "web"])
@pytest.mark.parametrize(
    ("arrange", "texts"),
    [
        (own_tmpfs, ANOTHER),
        (not_mounted, ANOTHER),
        (subdirectory, ANOTHER),
        (read_only, ["is mounted read-only", "Mount it writable"]),
    ],
)
def test_who_has_mounted_something_else_is_refused(
    pair: Pair,
    new_node: NewNode,
    command: list[str],
    arrange: Callable[[Node, Path], None],
    texts: list[str],
) -> None:
    # Given a node on which the declared path is something else
    node = new_node(f"{command[0]}-{arrange.__name__}")
    if arrange is subdirectory and command[0] == "web":
        (pair.disk / "below").rmdir()  # it was left empty
    arrange(node, pair.disk)
    # Then what starts there is refused with the reason
    refused(node.run(*command), str(node.share), *texts)
    # And leaves nothing there; the others go on
    if arrange is not read_only:
        assert list(node.storage.iterdir()) == []
    assert pair.working.is_running()
    assert pair.api.is_ready()


@pytest.mark.parametrize("mode", [0o750, 0o755], ids=["closed", "readable"])
def test_another_user_who_may_not_write_is_refused(new_node: NewNode, base: Path, mode: int) -> None:
    # Given a storage that belongs to another user, and which others may read at best
    need_users()
    disk = base / f"strangers-{mode:o}"
    disk.mkdir()
    LocalStorage(disk, shared=True).prepare()
    for path in (disk, *disk.rglob("*")):
        os.chown(path, STRANGER_ID, STRANGER_ID)
    (disk / ".clipzy").chmod(mode)
    node = new_node(f"bound-{mode:o}", of=2)
    node.bind(disk)
    # Then an ordinary user's worker is refused with the reason
    refused(node.run_as(BOUND, "worker"), str(node.share), "is not writable by this user", "Give the user")


@pytest.mark.long
@pytest.mark.timeout(240)
def test_users_who_may_not_read_each_others_files_are_not_let_together(new_node: NewNode, base: Path) -> None:
    # Given an ordinary user's worker
    need_users()
    disk = base / "users"
    disk.mkdir()
    first, second = (new_node(name, of=2) for name in ("first", "second"))
    for node in (first, second):
        node.bind(disk)
    worker = first.run_as(BOUND, "worker").wait_for_log(WORKER_READY)
    # When another user that may write everywhere starts a second one, whose files the first may not read
    stranger = second.run_as(STRANGER, "worker")
    stranger.wait(VISIBILITY_TIMEOUT_SECONDS + 60)
    refused(stranger, "it may not read", "do both run as the same user", str(worker.pid), *WAYS_OUT)
    # Then the first goes on, and nothing is left
    assert worker.is_running()
    assert probes(disk) == []


@pytest.mark.long
@pytest.mark.timeout(240)
def test_two_overlays_with_one_identity_are_told_apart(new_node: NewNode, base: Path) -> None:
    # Given a front end on an overlay over a directory that has an identity already
    lower = base / "lower"
    lower.mkdir()
    LocalStorage(lower, shared=True).prepare()
    first, second, third = (new_node(f"overlay-{number}", of=3) for number in range(3))
    for node in (first, second, third):
        node.overlay(lower)
    api = first.web()
    # When a worker and a second front end start, each on another overlay over that directory
    joining = {second: second.run("worker"), third: third.run("web", "--port", str(free_port()))}
    examined = third.run("doctor")
    for process in (*joining.values(), examined):
        process.wait(VISIBILITY_TIMEOUT_SECONDS + 60)
    # Then the probe file shows it: both are refused, the first goes on
    for node, process in joining.items():
        refused(
            process,
            str(node.share),
            f"process {first.processes[0].pid}",
            f"it has not seen a file that this process wrote {VISIBILITY_TIMEOUT_SECONDS:.0f} s ago",
            "files go missing",
            *WAYS_OUT,
        )
        assert probes(node.storage) == []
    assert api.is_ready()
    # And the doctor reports the same
    assert examined.wait() == 1
    (failure,) = [line for line in examined.output().splitlines() if line.startswith("FAIL") and " guard " in line]
    assert "it has not seen a file that this process wrote" in failure
    assert first.processes[0].stop() == 0
    assert probes(first.storage) == []


def test_a_mount_that_vanishes_is_noticed_before_anything_is_written_into_the_hole(
    new_node: NewNode, base: Path, clip: Path
) -> None:
    # Given records that were compared with storage, and a job that is being worked on
    pair = Pair(new_node, base / "vanishing-disk", of=4)
    api, worker = pair.api, pair.working.wait_for_log(JANITOR_REBUILT)
    nodes = (pair.web, pair.worker)
    job = api.upload(clip)
    decoder = Frozen([media_process_below(worker.pid)])

    def is_out_of_reach() -> None:
        ready = api.get("/readyz")
        assert (ready.status_code, ready.json()["storage"], ready.json()["redis"]) == (503, "unavailable", "ok")
        with clip.open("rb") as stream:
            refusal = api.post("/jobs", files={"file": stream})
        assert (refusal.status_code, refusal.json()["code"]) == (503, "STORAGE_UNAVAILABLE")
        assert all(list(node.storage.iterdir()) == [] for node in nodes)

    # When the mount vanishes on both machines
    for node in nodes:
        node.unmount()
    decoder.thaw()
    # Then nothing is written into the empty directory below, and the job is released
    is_out_of_reach()
    worker.wait_for_event(JOB_STORAGE_UNAVAILABLE, job_id=job["job_id"])
    eventually(lambda: api.job(job["job_id"])["status"] == "queued", "a job that waits")
    is_out_of_reach()
    # Nor is anything into an empty filesystem that is mounted in its place
    for node in nodes:
        node.mount("-t", "tmpfs", "none")
    is_out_of_reach()
    for node in nodes:
        node.unmount()
        node.bind(pair.disk)
    # And when it is mounted again everything goes on by itself
    assert api.is_ready()
    assert api.finished(job["job_id"])["status"] == "completed"
    assert api.run(clip)["status"] == "completed"


def test_a_dead_mount_at_the_start_is_reported_and_can_be_stopped(new_node: NewNode) -> None:
    # Given a mount that answers nothing at all
    node = new_node("dead", of=5)
    node.dead_mount()
    # When a worker and a front end start on it
    worker, api = node.run("worker"), node.client(free_port())
    web = node.run("web", "--port", api.url.rpartition(":")[2])
    # Then both report it, and the front end runs and is not ready
    for process in (worker, web):
        process.wait_for_event(GUARD_NO_ANSWER)
    eventually(api.is_reachable, "a front end that listens")
    assert api.get("/readyz").json()["storage"] == "unavailable"
    # And both exit when they are stopped
    worker.send(signal.SIGTERM)
    assert (web.stop(), worker.wait()) == (0, 0)
