"""A real nginx in front of a front end, started by the same script as in the container."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.support.processes import Process, free_port
from tests.support.requirements import missing
from tests.support.waiting import eventually

SCRIPT = Path(__file__).parents[2] / "compose/nginx.sh"
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Nginx:
    """One running nginx."""

    port: int
    directory: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        """What it complained about."""
        return (self.directory / "nginx.log").read_text()

    def access_log(self) -> str:
        return (self.directory / "access.log").read_text()


@contextlib.contextmanager
def running_nginx(
    directory: Path, *, upstream_port: int, max_file_size_mb: int, listen: str = "127.0.0.1:{port}", **settings: str
) -> Iterator[Nginx]:
    """nginx on a free port before the front end on ``upstream_port``; stopped at the end.

    ``settings`` are environment variables over the ones it needs here.
    """
    for program in ("nginx", "envsubst"):
        if shutil.which(program, path=SYSTEM_PATH) is None:
            missing(program)
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    env = environment(directory, port=port, upstream_port=upstream_port, max_file_size_mb=max_file_size_mb)
    env |= {"NGINX_LISTEN": listen.format(port=port)} | settings
    check(env)
    process = Process(["sh", str(SCRIPT)], cwd=directory, env=env, log=directory / "nginx.log")
    nginx = Nginx(port, directory)
    try:
        eventually(lambda: not process.is_running() or _answers(nginx.url), "an nginx that answers")
        assert process.is_running(), nginx.log()
        yield nginx
    finally:
        process.stop()


def environment(directory: Path, *, port: int, upstream_port: int, max_file_size_mb: int) -> dict[str, str]:
    return {
        "PATH": os.pathsep.join((os.environ["PATH"], SYSTEM_PATH)),
        "MAX_FILE_SIZE_MB": str(max_file_size_mb),
        "NGINX_LISTEN": f"127.0.0.1:{port}",
        "NGINX_UPSTREAM": f"127.0.0.1:{upstream_port}",
        "NGINX_STATE_DIR": str(directory / "state"),
        "NGINX_ACCESS_LOG": str(directory / "access.log"),
    }


def check(env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Have nginx judge the rendered template; fails with its words."""
    done = subprocess.run(["sh", str(SCRIPT), "-t"], env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        requests.get(url, timeout=10)  # whatever it answers: the front end may not run yet
        return True
    return False
