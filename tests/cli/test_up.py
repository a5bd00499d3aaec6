"""`clipzy up` and `clipzy demo`: the whole service as real processes."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.support.processes import CLIPZY, Watched, clipzy, environment


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "two colours.mp4"
    colours = "color=red:s=320x240:d=1[a];color=blue:s=320x240:d=1[b];[a][b]concat"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-filter_complex", colours]
    subprocess.run([*ffmpeg, "-pix_fmt", "yuv420p", str(path)], check=True, stdin=subprocess.DEVNULL)
    return path


class Service:
    """A running `clipzy up`, and all processes that work in its directory."""

    def __init__(self, process: subprocess.Popen[str], directory: Path) -> None:
        self.process = process
        self._directory = directory
        self.url = self.read_until(r"Clipzy is ready at (\S+) \(web page; its API is below /api/v1\)$")

    def read_until(self, pattern: str) -> str:
        assert self.process.stdout
        output = []
        for line in self.process.stdout:
            output.append(line)
            if found := re.match(pattern, line):
                return found[found.lastindex or 0]
        raise AssertionError("the service exited with the output: " + "".join(output))

    def pids(self, *, with_argument: str = "") -> list[int]:
        return [
            int(process.name)
            for process in Path("/proc").glob("[0-9]*")
            if _works_in(process, self._directory) and with_argument in _command_line(process)
        ]


def _works_in(process: Path, directory: Path) -> bool:
    try:
        return (process / "cwd").readlink().is_relative_to(directory)
    except OSError:  # it has exited meanwhile, or is another user's
        return False


def _command_line(process: Path) -> list[str]:
    try:
        return ["", *(process / "cmdline").read_text().split("\0")]
    except OSError:
        return []


@contextmanager
def service(directory: Path, *arguments: str, **settings: str) -> Iterator[Service]:
    with subprocess.Popen(
        [*CLIPZY, "up", "--port", "0", *arguments],
        cwd=directory,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield Service(process, directory)
        finally:
            process.kill()


def test_the_service_runs_and_stops(video: Path, tmp_path: Path) -> None:
    with service(tmp_path, "--workers", "2") as running:
        # Given a service that is ready
        # When a video is submitted
        submitted = clipzy("submit", str(video), "--wait", "--json", cwd=tmp_path, CLIPZY_URL=running.url)

        # Then the job completes, and the doctor reports both workers and nothing wrong
        assert submitted.returncode == 0, submitted.stderr
        assert json.loads(submitted.stdout)["status"] == "completed"
        examined = clipzy("doctor", cwd=tmp_path)
        assert examined.returncode == 0, examined.stdout
        assert "ok    workers   2 live" in examined.stdout

        # When it is interrupted
        processes = [Watched(pid) for pid in running.pids()]
        running.process.send_signal(signal.SIGINT)

        # Then it exits normally and leaves nothing running
        assert len(processes) > 4
        assert all(process.has_exited() for process in processes)
        assert running.process.wait() == 0


def test_a_killed_service_leaves_nothing_running(tmp_path: Path) -> None:
    with service(tmp_path) as running:
        # Given all the processes of a service
        processes = [Watched(pid) for pid in running.pids()]

        # When the first of them is killed
        running.process.kill()

        # Then the others exit as well
        assert all(process.has_exited() for process in processes)


@pytest.mark.long
def test_a_killed_worker_is_replaced(video: Path, tmp_path: Path) -> None:
    with service(tmp_path) as running:
        # Given the main process of the only worker
        worker = min(running.pids(with_argument="clipzy_worker"))

        # When it is killed
        subprocess.run(["kill", "-KILL", str(worker)], check=True)
        running.read_until(r".*supervisor\.restarting .*child='worker 1' ended_with=SIGKILL")

        # Then its replacement completes a job
        submitted = clipzy("submit", str(video), "--wait", cwd=tmp_path, CLIPZY_URL=running.url)
        assert submitted.returncode == 0, submitted.stdout + submitted.stderr


def test_an_unusable_storage_stops_the_service(tmp_path: Path) -> None:
    # Given a storage path below a file
    (tmp_path / "file").touch()

    # When the service is started
    ended = clipzy("up", "--port", "0", cwd=tmp_path, LOCAL_STORAGE_PATH="file/storage")

    # Then it exits with the status of a wrong setting, and names it
    assert ended.returncode == 78
    assert "LOCAL_STORAGE_PATH" in ended.stderr


def test_the_demo_runs_whatever_the_settings(video: Path, tmp_path: Path) -> None:
    # Given wrong settings, in the environment and in .env
    (tmp_path / ".env").write_text("STORAGE_TYPE=elsewhere\nREDIS_URL=redis://127.0.0.1:1/0\n")

    # When the demo is run
    ended = clipzy("demo", str(video), cwd=tmp_path, WORKER_COUNT="2", LOCAL_STORAGE_PATH="/dev/null/storage")

    # Then it shows a completed job, its shots, and the paths of its result
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "100 %" in ended.stdout
    assert re.search(r"^status +completed$", ended.stdout, re.MULTILINE)
    assert re.search(r"^ +1 +1\.00 +2\.00 +cut$", ended.stdout, re.MULTILINE)
    for name in ("output.json", "poster"):
        found = re.search(rf"^{name} +(/\S.*)$", ended.stdout, re.MULTILINE)
        assert found
        assert Path(found[1]).stat().st_size


def test_a_demo_that_cannot_write_where_it_is_says_so(tmp_path: Path) -> None:
    (tmp_path / ".demo").touch()
    ended = clipzy("demo", cwd=tmp_path)
    assert ended.returncode == 1
    way = "Run it in a directory that you can write to."
    assert ended.stderr == f"clipzy: {tmp_path}/.demo cannot be used: File exists. {way}\n"
