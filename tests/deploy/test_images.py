"""The parts of the containers, run without an engine: the files of the images, and the start scripts."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from clipzy_api.cli.embedded_redis import find_server
from clipzy_storage.process import with_parent_death_signal
from tests.support.deployment import Deployment
from tests.support.processes import free_port
from tests.support.s3_servers import S3Server
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually
from tests.support.wheels import build_wheel

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose"
SERVICES: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]


def instructions() -> list[tuple[str, str]]:
    lines = re.sub(r"\\\n\s*", " ", (COMPOSE / "Dockerfile").read_text()).splitlines()
    parts = (line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    return [(name, arguments) for name, arguments in parts]


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage, FROM with the base image first."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, arguments in instructions():
        if name == "FROM":
            base, _, stage = arguments.partition(" AS ")
            found[stage] = []
            arguments = base
        list(found.values())[-1].append((name, arguments))
    return found


def test_copied_files_exist_and_are_not_ignored() -> None:
    not_ignored = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [shlex.split(arguments)[:-1] for name, arguments in instructions() if name == "COPY"]
    sources = [source for words in copied if not words[0].startswith("--from") for source in words]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in not_ignored), source
    assert all((ROOT / name).exists() for name in not_ignored)


def test_the_copied_files_are_all_that_is_installed(tmp_path: Path) -> None:
    # Given the files of the first stage
    for name, arguments in stages()["packages"]:
        if name == "COPY":
            *sources, target = shlex.split(arguments)
            for source in (ROOT / source for source in sources):
                if source.is_dir():
                    shutil.copytree(source, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    (tmp_path / target).mkdir(exist_ok=True)
                    shutil.copy(source, tmp_path / target)
    # When a wheel is built of them, as pip does, then it is the one of the checkout
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "dist")]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    (built,) = (tmp_path / "dist").iterdir()
    assert built.read_bytes() == build_wheel(tmp_path).read_bytes()


def test_bases_are_pinned_and_packages_are_locked() -> None:
    bases = {stage[0][1] for stage in stages().values()} - set(stages())
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.13\.\d+-slim-bookworm(@sha256:[0-9a-f]{64})?", bases.pop())
    installs = [arguments for name, arguments in instructions() if name == "RUN" and "pip install" in arguments]
    assert len(installs) == 3
    assert all("--require-hashes" in one or ("--no-deps" in one and one.endswith(" .")) for one in installs)


@pytest.mark.parametrize("target", ["clipzy", "flower"])
def test_nothing_runs_as_root(target: str) -> None:
    own = stages()[target]
    assert own[0] == ("FROM", "runtime")
    assert ("USER", "10001:10001") in stages()["runtime"]
    assert all(name not in ("USER", "RUN") for name, _ in own)


def test_every_target_that_compose_builds_is_there() -> None:
    targets = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert targets == {"clipzy", "flower"}
    assert list(stages())[-1] == "clipzy"  # the default target


@pytest.mark.parametrize("target", ["clipzy", "flower"])
def test_an_image_runs_by_default_what_compose_runs(target: str) -> None:
    service = "web" if target == "clipzy" else "flower"
    (command,) = (json.loads(arguments) for name, arguments in stages()[target] if name == "CMD")
    assert command == SERVICES[service]["command"][: len(command)]


def test_the_health_check_of_the_image_works_with_a_front_end(front_end: FrontEnd) -> None:
    (line,) = (arguments for name, arguments in stages()["clipzy"] if name == "HEALTHCHECK")
    command = json.loads(line.partition("CMD ")[2])
    assert command[0] == "python"

    def status(port: int) -> int:
        ask = [word.replace(":8000/", f":{port}/") for word in command[1:]]
        return subprocess.run([sys.executable, *ask], capture_output=True, timeout=30, check=False).returncode

    assert status(front_end.port) == 0
    assert status(free_port()) == 1


@pytest.mark.long
def test_the_health_check_of_the_worker_detects_one_that_hangs(tmp_path: Path, redis_url: str) -> None:
    (_, *command) = SERVICES["worker"]["healthcheck"]["test"]
    assert command[:2] == ["python", "-m"]
    with Deployment(tmp_path, redis_url=redis_url) as stack:

        def complaint() -> str:
            env = {"PATH": os.environ["PATH"], **stack.settings}
            ask = [sys.executable, *command[1:]]
            done = subprocess.run(ask, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=30, check=False)
            assert done.returncode == (1 if done.stderr else 0)
            return done.stderr

        # Given no worker, then the check reports that; with a running one it passes
        assert "no worker runs from" in complaint()
        worker = stack.worker()
        assert complaint() == ""
        # When the worker is stopped and its liveness file is old
        worker.send(signal.SIGSTOP)
        (file,) = (tmp_path / ".clipzy/alive").iterdir()
        long_ago = time.time() - 3600
        os.utime(file, (long_ago, long_ago))
        # Then the check fails, until the worker continues
        assert f"liveness file not touched by process {worker.pid}" in complaint()
        worker.send(signal.SIGCONT)
        eventually(lambda: complaint() == "", "a sign of life", seconds=30)
        # And the file of a killed worker does not count
        worker.kill()
        assert "no worker runs from" in complaint()
        # And the next worker removes that file, and its own when it stops
        successor = stack.worker()
        assert [path.name for path in (tmp_path / ".clipzy/alive").iterdir()] == [str(successor.pid)]
        assert successor.stop() == 0
        assert not (tmp_path / ".clipzy/alive").exists()


@pytest.fixture
def server_path(tmp_path: Path) -> str:
    """A PATH on which there is a valkey-server, as in the image."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/valkey-server").symlink_to(find_server())
    return os.pathsep.join((str(tmp_path / "bin"), os.environ["PATH"]))


@contextmanager
def redis_of_compose(directory: Path, path: str) -> Iterator["tuple[redis.Redis, int]"]:
    port = free_port()
    env = {"PATH": path, "REDIS_PASSWORD": "s3cret~x", "REDIS_PORT": str(port), "REDIS_DATA_DIR": str(directory)}
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            with_parent_death_signal("sh", str(COMPOSE / "redis.sh")), env=env, stdout=log, stderr=log
        )
    client = redis.Redis(port=port, password="s3cret~x", decode_responses=True)
    try:
        eventually(lambda: process.poll() is not None or _answers(client), "a Redis", seconds=20)
        assert process.poll() is None, (directory / "log").read_text()
        yield client, process.pid
    finally:
        client.close()
        process.terminate()
        process.wait(20)


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


REDIS_CONFIG = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory": str(512 << 20),
    "maxmemory-policy": "noeviction",
}


def test_redis_is_durable_and_requires_its_password(tmp_path: Path, server_path: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    # Given the Redis of compose
    with redis_of_compose(data, server_path) as (client, pid):
        config = {name: client.config_get(name)[name] for name in REDIS_CONFIG}
        assert config == REDIS_CONFIG
        with (
            redis.Redis(port=client.get_connection_kwargs()["port"]) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        assert "s3cret" not in Path(f"/proc/{pid}/cmdline").read_text()
        client.set("kept", "yes")

    # When it is stopped and started again, then its data is there
    with redis_of_compose(data, server_path) as (client, _):
        assert client.get("kept") == "yes"


@pytest.mark.parametrize("password", [None, "", "with space", 'quo"te', "at@sign", "new\nline"])
def test_redis_does_not_start_with_a_password_that_breaks_a_url(password: str | None) -> None:
    env = {"PATH": os.environ["PATH"]} | ({} if password is None else {"REDIS_PASSWORD": password})
    done = subprocess.run(
        ["sh", COMPOSE / "redis.sh"], env=env, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 78
    assert done.stderr.startswith("REDIS_PASSWORD is missing or wrong. Set it to ")


@pytest.mark.parametrize("limit", ["0", "-1", "512 mb", "all\nloglevel debug"])
def test_redis_does_not_start_with_a_limit_that_is_none(limit: str) -> None:
    env = {"PATH": os.environ["PATH"], "REDIS_PASSWORD": "x", "REDIS_MAXMEMORY": limit}
    done = subprocess.run(
        ["sh", COMPOSE / "redis.sh"], env=env, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 78
    assert done.stderr.startswith(f"REDIS_MAXMEMORY={limit} is wrong. Set it to ")


DIGEST = "sha256:" + "0123456789abcdef" * 4


def pinned(directory: Path, *, docker: str) -> "tuple[subprocess.CompletedProcess[str], str]":
    """Run `make pin` on the copy in ``directory``, with this script as docker: there is no registry to ask.

    Returns the texts of its files afterwards.
    """
    if not (directory / "compose").exists():
        shutil.copytree(COMPOSE, directory / "compose")
    (directory / "bin").mkdir(exist_ok=True)
    for tool in ("sed", "sort", "cat", "rm", "dirname"):
        (directory / "bin" / tool).unlink(missing_ok=True)
        (directory / "bin" / tool).symlink_to(str(shutil.which(tool)))
    if docker:
        (directory / "bin/docker").write_text(f"#!/bin/sh\n{docker}\n")
        (directory / "bin/docker").chmod(0o755)
    env = {"PATH": str(directory / "bin")}
    shell, script = str(shutil.which("sh")), directory / "compose/pin.sh"
    done = subprocess.run([shell, script], env=env, capture_output=True, text=True, timeout=60, check=False)
    return done, "".join((directory / "compose" / name).read_text() for name in PINNED_FILES)


PINNED_FILES = ("compose.yaml", "Dockerfile")
UNPINNED = "".join((COMPOSE / name).read_text() for name in PINNED_FILES)


def test_images_are_pinned_to_the_digests_that_the_registries_have(tmp_path: Path) -> None:
    # When digests are written, and written again when they have changed
    first, text = pinned(tmp_path, docker=f'test "$2 $3" = "imagetools inspect" && echo {DIGEST}')
    again, changed = pinned(tmp_path, docker=f"echo {DIGEST.replace('f', '0')}")
    # Then every image of another project has its digest, and nothing else has changed
    assert first.returncode == again.returncode == 0, first.stderr + again.stderr
    images = re.findall(r"^(?: *image:|FROM) +(\S+:\S+)", text, re.MULTILINE)
    assert len(images) == 7
    assert all(image.endswith(f"@{DIGEST}") for image in images)
    assert text.replace(f"@{DIGEST}", "") == UNPINNED
    assert changed == text.replace(DIGEST, DIGEST.replace("f", "0"))


@pytest.mark.parametrize(
    ("docker", "words"),
    [("", "docker is needed"), ("exit 1", "did not answer with its digest"), ("echo unknown", "did not answer")],
)
def test_without_a_registry_nothing_is_pinned(tmp_path: Path, docker: str, words: str) -> None:
    done, text = pinned(tmp_path, docker=docker)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("make pin: ")
    assert words in line
    assert text == UNPINNED


@pytest.mark.parametrize("given", [{}, {"AWS_ACCESS_KEY_ID": "clipzy"}, {"AWS_SECRET_ACCESS_KEY": "x"}])
def test_the_s3_server_does_not_start_without_an_account(given: dict[str, str]) -> None:
    env = {"PATH": os.environ["PATH"], **given}
    done = subprocess.run(["sh", COMPOSE / "s3.sh"], env=env, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 78
    assert "AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is missing" in done.stderr


def test_the_bucket_is_created_once(moto_server: S3Server) -> None:
    env = {"PATH": os.environ["PATH"], "S3_BUCKET_NAME": "clipzy-of-compose", **moto_server.env}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, COMPOSE / "bucket.py"], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "clipzy-of-compose" in [found["Name"] for found in moto_server.client.list_buckets()["Buckets"]]
