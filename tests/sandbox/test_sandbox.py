"""The walls around a media process, tried from inside by one that means harm; and what becomes of it."""

import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.models.analysis import Analysis
from clipzy_worker.errors import MediaCrashed
from clipzy_worker.sandbox import readiness, seccomp
from clipzy_worker.sandbox.process import MediaLimits, MediaProcess, MediaRequest
from tests.support.hostile.canary import SECRET, MonoAnalyser, listener
from tests.support.hostile.no_namespaces import without_namespaces
from tests.support.media import clips
from tests.support.mount_namespaces import STRANGER_ID, need_users
from tests.support.requirements import missing

PRISONER = Path(__file__).parents[1].joinpath("support", "hostile", "sandbox_escape.py").read_text()
Plan = list[tuple[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def walls() -> None:
    if lacking := readiness.probe().missing:
        missing(f"the sandbox lacks {lacking}")


@pytest.fixture
def canary() -> Iterator[MonoAnalyser]:
    with listener() as listening:
        yield listening


@pytest.fixture
def request_(tmp_path: Path) -> MediaRequest:
    """Of a job beside which lie those of others."""
    for name in ("source.mp4", "neighbour.mp4"):
        (tmp_path / name).write_bytes(SECRET)
    (tmp_path / "out").mkdir()
    return MediaRequest(tmp_path / "source.mp4", "mp4", tmp_path / "out")


def harm(folder: Path, *, port: int) -> Plan:
    """All that a process could do to a machine, its neighbours and its parent."""
    socket_path, outside = str(folder / "socket"), str(folder / "outside")
    return [
        ("connect", port),
        ("connect_by_path", socket_path),
        ("read", str(folder / "neighbour.mp4")),
        ("read", "/etc/passwd"),
        ("read", f"/proc/{os.getpid()}/environ"),
        ("read", f"/proc/self/root{folder}/neighbour.mp4"),
        ("listed", str(folder)),
        ("write", outside),
        ("write", str(folder / "source.mp4")),
        ("publish", str(folder / "source.mp4")),
        ("link", "/etc/passwd"),
        ("remove", str(folder / "removable")),
        ("fork", ""),
        ("run", "/bin/true"),
        ("ask_signal", os.getpid()),
        ("trace", os.getppid()),
        ("outlive_parent", ""),
    ]


def tried(request: MediaRequest, plan: Plan, *, script: str = PRISONER) -> dict[str, str]:
    """What came of each, by what it was."""
    command = (sys.executable, "-I", "-c", script, json.dumps(plan))
    with MediaProcess(request, command=command) as media:
        for _fraction in media.updates():
            pass
        return {f"{name} {argument}": answer for name, argument, answer in map(json.loads, media.result().warnings)}


@pytest.fixture
def temptations(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "removable").write_bytes(b"")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        server.listen()
        yield


@pytest.mark.usefixtures("temptations")
def test_behind_the_walls_nothing_of_it_works(request_: MediaRequest, tmp_path: Path, canary: MonoAnalyser) -> None:
    # Given a media process that was taken over; When it tries all it can
    answers = tried(replace(request_, sandbox="required"), harm(tmp_path, port=canary.port))

    # Then nothing of it was done, nobody was called, and what lies outside is as it was
    assert [what for what, answer in answers.items() if answer == "done"] == []
    assert canary.calls == []
    assert not (tmp_path / "outside").exists()
    assert (tmp_path / "source.mp4").read_bytes() == SECRET


@pytest.mark.usefixtures("temptations")
def test_without_the_walls_all_of_it_works(request_: MediaRequest, tmp_path: Path, canary: MonoAnalyser) -> None:
    """So the test above would notice a wall that is missing."""
    plan = [one for one in harm(tmp_path, port=canary.port) if one[0] != "trace"]  # which some systems forbid to all
    answers = tried(replace(request_, sandbox="off"), plan)
    assert [what for what, answer in answers.items() if answer != "done"] == []
    assert len(canary.calls) == 1


WITHOUT = {
    "network": "namespaces.leave_network = lambda: False; namespaces.drop_capabilities = lambda: None\n",
    "files": "landlock.enclose = lambda **_: None\n",
    "system calls": "seccomp.install = lambda: None\n",
}
STOPPED_BY = {
    "network": {"connect"},
    "files": {"connect", "read", "listed", "write", "link", "remove", "ask_signal"},
    "system calls": {"connect", "connect_by_path", "fork", "run", "publish", "ask_signal", "outlive_parent"},
}


@pytest.mark.usefixtures("temptations")
@pytest.mark.parametrize("wall", WITHOUT)
def test_each_wall_alone_stops_what_it_is_for(
    wall: str, request_: MediaRequest, tmp_path: Path, canary: MonoAnalyser
) -> None:
    # Given a process of which two walls are missing
    others = "".join(line for name, line in WITHOUT.items() if name != wall)
    script = f"from clipzy_worker.sandbox import landlock, namespaces, seccomp\n{others}{PRISONER}"

    # When it tries all it can, Then what the third is for does not work
    plan = [one for one in harm(tmp_path, port=canary.port) if one[0] in STOPPED_BY[wall]]
    answers = tried(replace(request_, sandbox="required"), plan, script=script)
    assert [what for what, answer in answers.items() if answer == "done"] == []


def test_its_own_work_is_possible(request_: MediaRequest) -> None:
    # Given what a media process needs; When it is tried, Then it works
    out = str(request_.out_folder / "still.jpg")
    plan: Plan = [("read", str(request_.source)), ("write", out), ("read", out), ("remove", out), ("threads", 20)]
    assert set(tried(replace(request_, sandbox="required"), plan).values()) == {"done"}


@pytest.mark.parametrize(
    ("attempt", "limits", "reason"),
    [
        (("spin", ""), MediaLimits(cpu_seconds=1), "ran out of CPU time"),
        (("hold", 600 << 20), MediaLimits(resident_bytes=300 << 20), "used more memory than allowed"),
        (("fill", 1 << 20), MediaLimits(output_bytes=20 << 20), "wrote more bytes than allowed"),
        (("fill", 0), MediaLimits(output_files=500), "wrote more files than allowed"),
        (("become", "/bin/true"), MediaLimits(), None),
        (("allocate", 8 << 30), MediaLimits(), None),
        (("raise_limit", ""), MediaLimits(), None),
        (("threads", 5000), MediaLimits(memory_bytes=1 << 30), None),
    ],
)
def test_what_takes_too_much_is_stopped_and_named(
    attempt: tuple[str, Any], limits: MediaLimits, reason: str | None, request_: MediaRequest
) -> None:
    # Given a process that takes more than it may
    request = replace(request_, limits=limits, sandbox="required")

    # When it is followed, Then it is stopped with the reason, or what it wants is refused by the system
    if reason is None:
        assert all(answer.startswith("refused") for answer in tried(request, [attempt]).values())
    else:
        with pytest.raises(MediaCrashed, match=reason):
            tried(request, [attempt])


def test_one_that_sleeps_for_ever_ends_with_the_block(request_: MediaRequest) -> None:
    # Given a process that does nothing any more
    command = (sys.executable, "-I", "-c", PRISONER, json.dumps([("sleep", "")]))
    with MediaProcess(request_, command=command) as media:
        updates, pid = media.updates(poll_seconds=0.01), media.pid
        # When its caller has had enough of it
        for _ in range(20):
            assert next(updates) == 0.0

    # Then it is gone
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_ordinary_user_has_the_walls_too() -> None:
    # Given a user without rights, and a folder of its own
    need_users()
    with tempfile.TemporaryDirectory() as name, listener() as canary:
        folder = Path(name)
        for path in (folder, folder / "out"):
            path.mkdir(exist_ok=True)
            os.chown(path, STRANGER_ID, STRANGER_ID)
        (folder / "neighbour.mp4").write_bytes(SECRET)
        request = MediaRequest(folder / "source.mp4", "mp4", folder / "out", sandbox="required")
        plan: Plan = [("connect", canary.port), ("read", str(folder / "neighbour.mp4")), ("fork", ""), ("threads", 400)]

        # When it runs a process that means harm
        user = ("setpriv", f"--reuid={STRANGER_ID}", f"--regid={STRANGER_ID}", "--clear-groups")
        ended = subprocess.run(
            [*user, sys.executable, "-I", "-c", PRISONER, json.dumps(plan)],
            input=request.to_json(),
            capture_output=True,
            text=True,
            check=False,
        )

        # Then all is refused, threads without number as well: here they are counted for this process alone
        assert ended.returncode == 0, ended.stderr
        assert all(
            answer.startswith("refused")
            for *_, answer in map(json.loads, json.loads(ended.stdout)["result"]["warnings"])
        )
        assert canary.calls == []


def test_without_namespaces_the_other_walls_keep_the_network_out() -> None:
    # Given a machine that gives out no namespaces, and a process that means harm there
    with tempfile.TemporaryDirectory() as name, listener() as canary:
        (Path(name) / "out").mkdir()
        request = MediaRequest(Path(name) / "source.mp4", "mp4", Path(name) / "out", sandbox="best-effort")
        plan: Plan = [("connect", canary.port), ("fork", ""), ("read", "/etc/passwd")]
        command = [*without_namespaces(), sys.executable, "-I", "-c", PRISONER, json.dumps(plan)]

        # When it tries to call somebody
        ended = subprocess.run(command, input=request.to_json(), capture_output=True, text=True, check=False)

        # Then it cannot
        assert ended.returncode == 0, ended.stderr
        assert all(
            answer.startswith("refused")
            for *_, answer in map(json.loads, json.loads(ended.stdout)["result"]["warnings"])
        )
        assert canary.calls == []


@pytest.mark.parametrize("mode", ["required", "off"])
def test_footage_is_analysed_in_every_mode(mode: Any, tmp_path: Path, clips_folder: Path) -> None:
    # Given an honest clip; When it is analysed with several decoder threads
    request = MediaRequest(clips.cuts_clip(clips_folder).path, "mp4", tmp_path, decoder_threads=4, sandbox=mode)
    with MediaProcess(request) as media:
        for _fraction in media.updates():
            pass

        # Then it is, and the library has had nothing to complain of
        assert len(media.result().shots) == 3
        assert media.stderr_tail == ""


def test_a_wall_that_is_required_and_cannot_be_had_stops_the_process(tmp_path: Path, clips_folder: Path) -> None:
    # Given a system that has no namespaces to give
    request = MediaRequest(clips.cuts_clip(clips_folder).path, "mp4", tmp_path, sandbox="required")
    lacking = (
        "import sys, runpy\nfrom clipzy_worker.sandbox import namespaces\n"
        "def refused(): raise OSError(1, 'Operation not permitted')\n"
        "namespaces.leave_network = refused\n"
        f"sys.argv = ['x', '{os.getpid()}']\nrunpy.run_module('clipzy_worker.analysis', run_name='__main__')\n"
    )

    # When it is required, Then the process refuses; When it is not, Then it works
    def result(request: MediaRequest) -> Analysis:
        with MediaProcess(request, command=(sys.executable, "-I", "-c", lacking)) as media:
            for _fraction in media.updates():
                pass
            return media.result()

    with pytest.raises(MediaCrashed, match="could not be enclosed: network: Operation not permitted"):
        result(request)
    assert result(replace(request, sandbox="best-effort")).shots


# Of arm64 everywhere; those of x86-64 come only with its own headers.
KERNEL_TABLES = {"aarch64": "asm-generic/unistd.h"}
if platform.machine() == "x86_64":
    KERNEL_TABLES["x86_64"] = "x86_64-linux-gnu/asm/unistd_64.h"


@pytest.mark.parametrize("machine", KERNEL_TABLES)
def test_numbers_of_calls_are_the_kernel_s(machine: str) -> None:
    # Given the kernel's own table, where it is installed
    path = Path("/usr/include") / KERNEL_TABLES[machine]
    if not path.exists():
        missing("the kernel's headers (linux-libc-dev)")
    table = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text()))

    # When ours is held against it, Then each number is that of its name
    named = seccomp.named_numbers(seccomp.ARCHITECTURES[machine])
    table |= {"newfstatat": table.get("newfstatat", table.get("fstatat", ""))}
    assert {name: str(number) for name, number in named.items()} == {name: table[name] for name in named}
