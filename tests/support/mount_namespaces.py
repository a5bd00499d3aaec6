"""Several machines on one: each node has a mount namespace, and shares network, disk and Redis.

A node does not see the mounts of another, so the same path can be a different filesystem on each.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.deployment import Deployment
from tests.support.processes import CLIPZY, Process
from tests.support.requirements import missing

# Two users that both can read this checkout, wherever it lies. The first is bound by the permissions of files like any
# ordinary user, the second is not, but what it writes belongs to it.
BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
STRANGER_ID = 65534
STRANGER = (
    "setpriv",
    f"--reuid={STRANGER_ID}",
    f"--regid={STRANGER_ID}",
    "--clear-groups",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
)

_AS_ROOT = os.geteuid() == 0


def need_namespaces() -> None:
    """Skip the test if this user may not make mount namespaces."""
    if subprocess.run([*unshare(), "true"], check=False, capture_output=True).returncode != 0:
        missing("needs mount namespaces")


def need_users() -> None:
    """Skip the test if processes cannot run as another user."""
    if not _AS_ROOT:
        missing("needs root, to be several users")


class Node(Deployment):
    """Processes in one mount namespace, which all use the path ``share`` as storage that is declared shared."""

    def __init__(self, directory: Path, share: Path, *, redis_url: str) -> None:
        super().__init__(
            directory,
            redis_url=redis_url,
            LOCAL_STORAGE_PATH=str(share),
            LOCAL_STORAGE_SHARED="true",
            JOB_LEASE_SECONDS="6",
        )
        self.share = share
        self._kept: list[subprocess.Popen[str]] = []
        self._enter: Sequence[str] = ()
        holder = self._keep(*unshare(), "sh", "-c", "echo held && cat", prints="held")
        user = () if _AS_ROOT else ("--user", "--preserve-credentials")
        self._enter = ("nsenter", f"--target={holder.pid}", *user, "--mount", f"--wdns={self.directory}")
        self._root = Path(f"/proc/{holder.pid}/root")
        self.command = (*self._enter, *CLIPZY)

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        for process in reversed(self._kept):
            process.communicate()

    @property
    def storage(self) -> Path:
        """What is mounted on the share in this namespace, as the test sees it from outside."""
        return self._root / self.share.relative_to("/")

    def mount(self, *arguments: str | Path) -> None:
        """``mount ARGUMENTS SHARE``."""
        self._do("mount", *arguments, self.share)

    def bind(self, directory: Path) -> None:
        self.mount("--bind", directory)

    def overlay(self, lower: Path) -> None:
        """A view of ``lower`` of which the changes are kept apart."""
        changes = self.directory / "changes"
        changes.mkdir()
        self._do("mount", "-t", "tmpfs", "none", changes)
        self._do("mkdir", changes / "upper", changes / "work")
        options = f"lowerdir={lower},upperdir={changes / 'upper'},workdir={changes / 'work'}"
        self.mount("-t", "overlay", "-o", options, "none")

    def dead_mount(self) -> None:
        """A filesystem that never answers, like a network mount whose server is gone."""
        options = "fd=3,rootmode=40000,user_id=0,group_id=0"
        script = f"exec 3<>/dev/fuse && mount -i -t fuse -o {options} none '{self.share}' && echo dead && cat"
        self._keep("sh", "-c", script, prints="dead")

    def unmount(self) -> None:
        """As when a server disappears: open files stay, the path leads into the directory below."""
        self._do("umount", "--lazy", self.share)

    def run_as(self, user: Sequence[str], *arguments: str) -> Process:
        """Like ``run``, as one of the users below."""
        self.command = (*self._enter, *user, *CLIPZY)
        try:
            return self.run(*arguments)
        finally:
            self.command = (*self._enter, *CLIPZY)

    def _do(self, *command: str | Path) -> None:
        subprocess.run([*self._enter, *command], check=True)

    def _keep(self, *command: str, prints: str) -> "subprocess.Popen[str]":
        """A process that runs until its input is closed: when this node is left, or with this process at the latest."""
        process = subprocess.Popen([*self._enter, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._kept.append(process)
        if process.stdout is None or process.stdout.readline().strip() != prints:
            missing(f"needs {command[0]}")
        return process


def unshare() -> Sequence[str]:
    """The command before another that gives it mounts of its own."""
    user = () if _AS_ROOT else ("--user", "--map-root-user")
    return ("unshare", *user, "--mount")
