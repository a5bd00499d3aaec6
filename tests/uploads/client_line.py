"""A front end, and a way to it, or to its bucket, that can be broken while a client sends a large file."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from clipzy_api.client import Client, Job
from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from tests.support.forms import mp4_bytes
from tests.support.processes import CLIPZY, Process, environment
from tests.support.servers import FrontEnd
from tests.support.tcp_proxy import Fault, TcpProxy
from tests.support.waiting import eventually
from tests.uploads.tus_client import Deployed

CONTENT = mp4_bytes(40 << 20)
"""Three parts of a direct upload: 16, 16 and 8 MiB."""
MIB = 1 << 20


@dataclass
class Line:
    """A front end, and a connection that can be broken, on which clients send it the bytes of large files."""

    deployed: Deployed
    front_end: FrontEnd
    proxy: TcpProxy
    state: Path
    seen: list[int] = field(default_factory=list)
    """The bytes that a client has reported."""

    @property
    def is_direct(self) -> bool:
        return "S3_BUCKET_NAME" in self.deployed.settings

    @property
    def url(self) -> str:
        """For clients."""
        return self.front_end.url if self.is_direct else self.proxy.url

    def report(self, done_bytes: int, total_bytes: int) -> None:
        assert 0 <= done_bytes <= total_bytes == len(CONTENT)
        self.seen.append(done_bytes)

    def submit(self, file: Path) -> Job:
        with Client(self.url) as client:
            return client.submit(file, on_progress=self.report)

    def remembered(self) -> list[Path]:
        return sorted((self.state / "clipzy/uploads").glob("*.json"))

    def unfinished(self) -> dict[str, object]:
        (path,) = self.remembered()
        found: dict[str, object] = json.loads(path.read_text())
        return found

    def command(self, file: Path) -> Process:
        """`clipzy submit`, started."""
        env = environment(CLIPZY_URL=self.url, XDG_STATE_HOME=str(self.state))
        return Process([*CLIPZY, "submit", str(file)], cwd=file.parent, env=env, log=file.with_suffix(".log"))

    def check(self, job: Job, content: bytes = CONTENT) -> None:
        """The video is the file, and nothing else is left, at the front end and here."""
        assert read_bytes(self.deployed.storage, keys.upload(job.video_id, "mp4")) == content
        assert self.deployed.left(job.video_id) == []
        assert list((self.state / "clipzy/uploads").iterdir()) == []


def interrupted(line: Line, file: Path) -> int:
    """Have a command send a part of the file, and kill it; returns how much had been sent."""
    line.proxy.suffer(Fault("silence", of="request", after_bytes=10 * MIB))
    command = line.command(file)
    if line.is_direct:  # one of the parts is shorter than what passes
        eventually(lambda: line.remembered() and line.unfinished()["etags"], "a part that has arrived")
    else:
        eventually(lambda: line.proxy.received_bytes > 9 * MIB, "some of the file")
    command.kill()
    sent_bytes = line.proxy.received_bytes
    line.proxy.heal()
    line.proxy.received_bytes = 0
    return sent_bytes
