"""A machine with systemd, made of this one: its processes and mounts are its own, and what it changes is forgotten.

Its root is a view of ours. It has an empty ``/tmp``, no checkout, no network but loopback, and no services but those
that a test starts.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from clipzy_storage.process import with_parent_death_signal
from tests.support.processes import command_of, descendants
from tests.support.requirements import missing
from tests.support.waiting import eventually
from tests.support.wheels import ROOT

SYSTEMD = Path("/lib/systemd/systemd")
COMMAND_TIMEOUT_SECONDS = 100

# What follows runs in namespaces of its own. systemd is told that it is in a container, and the units that set up the
# hardware and the kernel are removed: both belong to the machine below. /proc/sys is read-only for the same reason.
_BOOT = f"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 none "$1"
cd "$1"
mkdir upper work root
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" none root
cd root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs none sys/fs/cgroup
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs -o mode=755 none dev
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 none dev/shm
mount -t devpts -o newinstance,ptmxmode=666 none dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done
mount -t tmpfs -o mode=755 none run
mount -t tmpfs -o mode=1777 none tmp
shift
while [ $# != 0 ]; do mkdir -p ".$1"; mount --bind "$2" ".$1"; shift 2; done
[ ! -d ".{ROOT}" ] || mount -t tmpfs none ".{ROOT}"
rm -rf etc/systemd/system/* lib/systemd/system/*.target.wants etc/machine-id
mkdir -p etc/systemd/system/sysinit.target.wants
ln -s /lib/systemd/system/systemd-journald.service etc/systemd/system/sysinit.target.wants
mkdir before
pivot_root . before
umount -l /before
echo 0123456789abcdef0123456789abcdef > /etc/machine-id
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin {SYSTEMD} --unit=multi-user.target --log-level=notice
"""


class Machine:
    """A running one. ``pid`` is that of its systemd, as seen from here."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.root = Path(f"/proc/{pid}/root")
        namespaces = ("--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup")
        self._enter = ("nsenter", f"--target={pid}", *namespaces, "--wdns=/root", "env", "-i", f"PATH={_PATH}")

    def run(self, script: str, **env: str) -> str:
        """What a shell of root's prints that runs ``script`` and ends at the first command that fails."""
        command = [*self._enter, *(f"{name}={value}" for name, value in env.items()), "sh", "-eu", "-c", script]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}\n{self.log()}"
        return done.stdout

    def log(self) -> str:
        """The end of its journal."""
        command = [*self._enter, "journalctl", "--no-pager", "--lines=60", "--output=cat"]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout

    def main_pid(self, unit: str) -> int:
        """As it sees it; 0 if the unit does not run."""
        return int(self.run(f"systemctl show --property=MainPID --value {unit}"))


_NAMESPACES = ("--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PYTHON = "/usr/local/lib/python"
_PYTHON_SET_UP = f"""
base={sys.base_prefix}
[ ! -d {_PYTHON}/bin ] || {{ base={_PYTHON}; echo $base/lib > /etc/ld.so.conf.d/python.conf; ldconfig; }}
printf '#!/bin/sh\\nexec %s "$@"\\n' $base/bin/python3.{sys.version_info.minor} > /usr/local/sbin/python3
chmod 755 /usr/local/sbin/python3
"""


@contextmanager
def running_machine(directory: Path, *, given: Mapping[str, Path]) -> Iterator[Machine]:
    """``directory`` must be empty; ``given`` are directories of ours by the path that they have there.

    Its ``python3`` is the one that runs this.
    """
    if not SYSTEMD.exists():
        missing("needs systemd")
    if subprocess.run(["unshare", *_NAMESPACES, "true"], capture_output=True, check=False).returncode != 0:
        missing("needs root, to make namespaces")
    with _own_cgroup(f"clipzy-test-{os.getpid()}") as cgroup, (directory.parent / "machine.log").open("wb") as log:
        mounts = [str(word) for pair in {**given, **_python()}.items() for word in pair]
        boot = ("unshare", *_NAMESPACES, "sh", "-c", _BOOT, "boot", str(directory), *mounts)
        join = f'echo $$ > "{cgroup}/cgroup.procs" && exec "$@"'
        starter = subprocess.Popen(
            with_parent_death_signal("sh", "-c", join, "join", *boot), stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        try:
            machine = _booted(starter, Path(log.name))
            machine.run(_PYTHON_SET_UP)
            yield machine
        finally:
            starter.kill()
            starter.wait()


def _booted(starter: "subprocess.Popen[bytes]", log: Path) -> Machine:
    def systemd() -> int:
        assert starter.poll() is None, log.read_text()
        return next((pid for pid in descendants(starter.pid) if command_of(pid).startswith(f"{SYSTEMD} ")), 0)

    machine = Machine(eventually(systemd, "systemd", seconds=20))
    eventually(lambda: (machine.root / "run/systemd/private").exists(), "systemd that answers", seconds=20)
    return machine


def _python() -> dict[str, Path]:
    """Its files where every service sees them: not in a home directory."""
    base = Path(sys.base_prefix)
    return {} if base.is_relative_to("/usr") else {_PYTHON: base}


@contextmanager
def _own_cgroup(name: str) -> Iterator[Path]:
    """A control group for all its processes."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    top = next((Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"), None)
    if top is None:
        missing("needs control groups of version 2")
    own = top / name
    try:
        own.mkdir(exist_ok=True)
    except OSError as error:
        missing(f"needs root, to make a control group ({error.strerror})")
    try:
        yield own
    finally:
        eventually(lambda: _removed(own), "an end of all processes of the machine", seconds=20)


def _removed(cgroup: Path) -> bool:
    for path in sorted((path for path in cgroup.rglob("*") if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            path.rmdir()
    with contextlib.suppress(OSError):
        cgroup.rmdir()
    return not cgroup.exists()
