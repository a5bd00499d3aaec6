"""Makes ee9de60.tar.gz: what `clipzy up` of that commit leaves on disk, with jobs in every state. See README.md.

``python make_ee9de60.py CLIPZY`` with the `clipzy` command of an installed checkout of that commit.
"""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import requests

TARGET = Path(__file__).with_name("ee9de60.tar.gz")
RECORDS = ".clipzy/redis/appendonlydir"
NO_VIDEO = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"not a video" * 100
CONFIG = {"analyses": [], "sprites": False, "shots": {"sensitivity": 3.5}}
KEY = "upgrade-1"
LEASE_SECONDS = "600"  # so that no job of an exited process is taken up while the fixture is made


class Service:
    """`clipzy up` of the old commit in ``directory``, whose processes can be made to exit at one point."""

    def __init__(self, clipzy: str, directory: Path) -> None:
        self._order = directory / "crash-at"
        self._log = directory / "log"
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONUNBUFFERED": "1",
            "JOB_LEASE_SECONDS": LEASE_SECONDS,
            "CLIPZY_CRASH_AT": f"@{self._order}",
        }
        with self._log.open("wb") as log:
            command = [clipzy, "up", "--port", "0"]
            self._process = subprocess.Popen(command, cwd=directory, env=env, stdout=log, stderr=log)
        try:
            wait_for(lambda: "ready at" in self._log.read_text())
        except BaseException:
            self._process.kill()
            raise
        self.url = self._log.read_text().partition("ready at ")[2].split()[0] + "/api/v1"

    def post(self, path: str, **options: Any) -> Any:
        answer = requests.post(self.url + path, timeout=30, **options)
        assert answer.ok, answer.text
        return answer.json()

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=30)

    def submit(self, content: bytes, *, name: str, key: str = "") -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        return self.post("/jobs", files={"file": (name, content)}, data={"config": json.dumps(CONFIG)}, headers=headers)

    def finished(self, job_id: str) -> Any:
        wait_for(lambda: self.get(f"/jobs/{job_id}").json()["status"] in ("completed", "failed"))
        return self.get(f"/jobs/{job_id}").json()

    def left_behind(self, video_id: str, *, at: str) -> Any:
        """A job whose pool process exits at this point."""
        self._order.write_text(at)
        job = self.post("/jobs", json={"video_id": video_id, "config": CONFIG | {"reuse": False}})
        wait_for(lambda: not self._order.exists())
        return self.get(f"/jobs/{job['job_id']}").json()

    def kill_worker(self) -> None:
        """For good: the supervisor is frozen before."""
        self._process.send_signal(signal.SIGSTOP)
        for child in Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split():
            if b"\0worker\0" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)

    def stop(self) -> None:
        """Kill the supervisor; the kernel then has Redis and the front end stop in good order."""
        self._process.kill()
        self._process.wait()
        wait_for(lambda: not is_in_use(self._log.parent))


def main(clipzy: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        service = Service(clipzy, directory)
        try:
            expected = fill(service, clip(directory))
            service.kill_worker()
            expected |= wait_without_worker(service, expected["video"]["video_id"])
        finally:
            service.stop()
        pack(directory, expected)


def fill(service: Service, content: bytes) -> dict[str, Any]:
    completed = service.submit(content, name="holiday.mp4", key=KEY)
    failed = service.submit(NO_VIDEO, name="broken.mp4")
    video = service.post("/videos", files={"file": ("again.mp4", content)})
    found = {name: service.finished(job["job_id"]) for name, job in (("completed", completed), ("failed", failed))}
    result = service.get(f"/jobs/{completed['job_id']}/result").json()
    running = service.left_behind(video["video_id"], at="attempt-stored")
    committing = service.left_behind(video["video_id"], at="committed")
    cancelling = service.left_behind(video["video_id"], at="claimed")
    service.post(f"/jobs/{cancelling['job_id']}/cancel")
    lost = {"running": running, "committing": committing, "cancelling": cancelling}
    return {"key": KEY, "config": CONFIG, "video": video, "result": result, **found, **lost}


def wait_without_worker(service: Service, video_id: str) -> dict[str, Any]:
    body = {"video_id": video_id, "config": CONFIG | {"reuse": False}}
    waiting, cancelled = (service.post("/jobs", json=body) for _ in range(2))
    service.post(f"/jobs/{cancelled['job_id']}/cancel")
    return {"waiting": waiting, "cancelled": service.get(f"/jobs/{cancelled['job_id']}").json()}


def clip(directory: Path) -> bytes:
    path = directory / "clip.mp4"
    source = "testsrc2=size=160x90:rate=25,trim=end_frame=30[a];smptebars=size=160x90:rate=25,trim=end_frame=20[b]"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-filter_complex", f"{source};[a][b]concat=n=2"]
    subprocess.run([*command, "-c:v", "libx264", "-crf", "40", str(path)], check=True)
    return path.read_bytes()


def pack(directory: Path, expected: dict[str, Any]) -> None:
    """With ``made_at``, which is later than every time in the files."""
    text = json.dumps(expected | {"made_at": int(time.time()) + 1}, indent=1).encode()
    (manifest,) = (directory / RECORDS).glob("*.manifest")
    (records,) = (directory / RECORDS).glob("*.incr.aof")
    # Without its base file, which is empty and has a format that only this kind of server reads.
    lines = [line for line in manifest.read_text().splitlines() if line.endswith("type i")]
    with tarfile.open(TARGET, "w:gz", compresslevel=9) as archive:
        add(archive, "expected.json", text)
        add(archive, f"{RECORDS}/{manifest.name}", "".join(f"{line}\n" for line in lines).encode())
        add(archive, f"{RECORDS}/{records.name}", records.read_bytes())
        archive.add(directory / "storage", "storage", filter=anonymous)


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(content)
    archive.addfile(about, io.BytesIO(content))


def anonymous(about: tarfile.TarInfo) -> tarfile.TarInfo:
    about.uid = about.gid = 0
    about.uname = about.gname = ""
    return about


def is_in_use(directory: Path) -> bool:
    """Whether any process works in the directory or was started with a path in it, as its Redis is."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if (process / "cwd").readlink() == directory or str(directory).encode() in command:
                return True
    return False


def wait_for(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "waited 60 s"
        time.sleep(0.05)


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).absolute()))
