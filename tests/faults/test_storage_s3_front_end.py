"""A front end whose bucket fails during an upload, or which is killed during one: whole or not there, nothing over."""

import hashlib
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clipzy_api.cli.embedded_redis import EmbeddedRedis
from tests.storage.s3.uploads import assert_nothing_left
from tests.support import s3_servers
from tests.support.deployment import SHORT_LEASE, Deployment, s3_settings
from tests.support.disks import padded
from tests.support.forms import video_form
from tests.support.processes import Process, descendants, free_port
from tests.support.s3_proxy import Rule, S3Proxy
from tests.support.s3_servers import S3Server
from tests.support.tcp_proxy import Fault, TcpProxy
from tests.support.waiting import eventually
from tests.support.wire import connect, head

MIB = 1 << 20
NETWORK = [
    Fault("reset", "request", 3 * MIB, connections=1),
    Fault("reset", "request", 3 * MIB),
    Fault("reset", "answer", 30),
    Fault("cut", "answer", 30),
    Fault("delay", "request", seconds=0.001),
    Fault("refuse"),
]
REPLIES = {
    operation: [
        Rule(500, "InternalError"),
        Rule(503, "SlowDown", times=1),
        Rule(lost=True),
        Rule(507, "InsufficientStorage"),
    ]
    for operation in ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "PutObject")
}
REPLIES["CompleteMultipartUpload"] += [Rule(409, "ConditionalRequestConflict"), Rule(412, "PreconditionFailed")]
REPLIES["PutObject"] += [Rule(409, "ConditionalRequestConflict"), Rule(412, "PreconditionFailed")]
CLEAN = {(503, "STORAGE_UNAVAILABLE"), (507, "STORAGE_FULL")}


class Scene:
    """A front end that reaches its bucket through a network and a gate, and a worker that reaches it undisturbed."""

    def __init__(self, deployment: Deployment, server: S3Server, bucket: str, network: TcpProxy, gate: S3Proxy) -> None:
        self.deployment, self.server, self.bucket, self.network, self.gate = deployment, server, bucket, network, gate
        self.api = deployment.client(free_port())
        self.start_front_end()

    def start_front_end(self) -> None:
        port = str(self.api.port)
        self.front_end: Process = self.deployment.run(
            "web", "--port", port, settings={"AWS_ENDPOINT_URL_S3": self.network.url}
        )
        self.front_end.wait_for_log("guard.joined")  # for a killed one may have answered once more
        eventually(self.api.is_ready, "a front end that is ready")

    def kill_what_serves(self) -> None:
        for pid in descendants(self.front_end.pid):
            os.kill(pid, signal.SIGKILL)

    def upload(self, path: Path) -> Any:
        """The job; or ``None`` where the upload is refused, which it is cleanly."""
        with path.open("rb") as stream:
            answer = self.api.post("/jobs", files={"file": stream})
        if answer.status_code == 202:
            return answer.json()
        assert (answer.status_code, answer.json()["code"]) in CLEAN, answer.text
        return None

    def stored_uploads(self) -> dict[str, str]:
        """Digests of what lies under ``uploads/``, by video."""
        client, found = self.server.client, {}
        for key in self.server.keys(self.bucket):
            if key.startswith("uploads/") and key.endswith(".mp4"):
                body = client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
                found[key.split("/")[1]] = hashlib.sha256(body).hexdigest()
        return found

    def sweep(self) -> None:
        s3_servers.storage_of(self.server, self.bucket).sweep_incomplete(0)


@pytest.fixture(scope="module", params=["moto", "rclone"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    bucket, directory = server.new_bucket(), tmp_path_factory.mktemp("front-end")
    with (
        EmbeddedRedis(directory / "redis") as url,
        S3Proxy(server.url) as gate,
        TcpProxy(gate.url) as network,
        Deployment(directory, redis_url=url, **s3_settings(server, bucket), **SHORT_LEASE) as deployment,
    ):
        yield Scene(deployment, server, bucket, network, gate)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    """A clip of three parts."""
    return padded(clip, tmp_path_factory.mktemp("large") / "large.mp4", mib=11)


def half_an_upload(port: int, content: bytes) -> socket.socket:
    body = video_form(content)
    connection = connect(port)
    connection.sendall(head("/api/v1/jobs", length=len(body)) + body[: 6 * MIB])
    return connection


@pytest.mark.long
def test_a_front_end_that_is_killed_during_an_upload_leaves_nothing(scene: Scene, large: Path) -> None:
    """Without the sweep when a front end stops its first upload stays: a successor does not search for it."""
    port = scene.api.port
    for whole in (False, True):
        # Given an upload of which a part has gone to the bucket, when a front end is killed
        with half_an_upload(port, large.read_bytes()):
            eventually(lambda: scene.server.unfinished(scene.bucket), "an upload under way")
            scene.front_end.kill() if whole else scene.kill_what_serves()
        # Then what the serving process left is removed when its front end stops, and the rest when it is swept
        if whole:
            scene.sweep()
        else:
            eventually(scene.api.is_ready, "a front end that is ready")
            assert scene.front_end.stop() == 0
        assert_nothing_left(scene.server, scene.bucket)
        assert scene.stored_uploads() == {}
        scene.start_front_end()


@contextmanager
def broken(scene: Scene, fault: Fault | tuple[str, Rule]) -> Iterator[None]:
    if isinstance(fault, Fault):
        scene.network.suffer(fault)
    else:
        scene.gate.set_rule(*fault)
    try:
        yield
    finally:
        scene.gate.rules = {}
        scene.network.heal()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_an_upload_is_accepted_whole_or_refused_cleanly(scene: Scene, large: Path) -> None:
    """Without the check of each answer, one that was cut led to a 500."""
    replies = [(operation, rule) for operation, rules in REPLIES.items() for rule in rules]
    faults: list[Fault | tuple[str, Rule]] = [*NETWORK, *replies]
    taken, refused = [], 0
    for fault in faults:
        # Given a bucket that fails in one way, when a video is uploaded
        with broken(scene, fault):
            job = scene.upload(large)
        # Then it is taken, or refused cleanly
        taken += [job] if job else []
        refused += job is None
    # And what is there is what was taken, whole; and after the sweep nothing is under way
    scene.sweep()
    assert_nothing_left(scene.server, scene.bucket)
    stored = scene.stored_uploads()
    assert {job["video_id"] for job in taken} <= stored.keys()
    assert set(stored.values()) == {hashlib.sha256(large.read_bytes()).hexdigest()}
    assert len(taken) >= 5, "some faults are borne"
    assert refused >= 5, "some are not"
    # And every job that was taken is done
    scene.deployment.worker()
    for job in taken:
        assert scene.api.finished(job["job_id"])["status"] == "completed"
    assert scene.api.get("/jobs").json()["total"] == len(taken)
