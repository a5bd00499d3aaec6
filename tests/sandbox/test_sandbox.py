"""The sandbox layers around a media process, attacked from inside by a hostile one; and how that process ends."""

import json
import os
import platform
import re
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.models.analysis import Analysis
from clipzy_worker.errors import MediaCrashed, ResultTooLarge
from clipzy_worker.sandbox import readiness, seccomp
from clipzy_worker.sandbox.confinement import LAYERS, Layer
from clipzy_worker.sandbox.process import MediaLimits, MediaProcess, MediaRequest
from tests.support.exposed_interpreter import exposing_interpreter
from tests.support.hostile.canary import SECRET, Canary, running_canary
from tests.support.hostile.no_namespaces import without_namespaces
from tests.support.media import clips
from tests.support.mount_namespaces import STRANGER_ID, need_namespaces, need_users
from tests.support.requirements import missing

ESCAPE = Path(__file__).parents[1].joinpath("support", "hostile", "sandbox_escape.py").read_text()
Plan = list[tuple[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def available_layers() -> None:
    if unavailable := readiness.probe().unavailable:
        missing(f"the sandbox lacks {unavailable}")


@pytest.fixture
def canary() -> Iterator[Canary]:
    with running_canary() as canary:
        yield canary


@pytest.fixture
def request_(tmp_path: Path) -> MediaRequest:
    """Of a job whose source is next to those of other jobs."""
    for name in ("source.mp4", "neighbour.mp4"):
        (tmp_path / name).write_bytes(SECRET)
    (tmp_path / "out").mkdir()
    return MediaRequest(tmp_path / "source.mp4", "mp4", tmp_path / "out")


def attacks(directory: Path, *, port: int) -> Plan:
    """All that a process could do to a machine, to other jobs and to its parent."""
    socket_path, outside = str(directory / "socket"), str(directory / "outside")
    return [
        ("connect", port),
        ("connect_by_path", socket_path),
        ("read", str(directory / "neighbour.mp4")),
        ("read", "/etc/passwd"),
        ("read", f"/proc/{os.getpid()}/environ"),
        ("read", f"/proc/self/root{directory}/neighbour.mp4"),
        ("list_directory", str(directory)),
        ("write", outside),
        ("write", str(directory / "source.mp4")),
        ("change_mode", str(directory / "source.mp4")),
        ("link", "/etc/passwd"),
        ("remove", str(directory / "removable")),
        ("fork", ""),
        ("run", "/bin/true"),
        ("send_signal", os.getpid()),
        ("trace", os.getppid()),
        ("outlive_parent", ""),
    ]


def tried(request: MediaRequest, plan: Plan, *, layers: Sequence[Layer] = LAYERS) -> dict[str, str]:
    """The outcome of each attempt, by its name and argument. Raises ``MediaCrashed`` if the process was stopped."""
    command = (sys.executable, "-I", "-c", ESCAPE, json.dumps(plan), json.dumps(layers))
    with MediaProcess(request, command=command) as media:
        for _fraction in media.updates():
            pass
        with pytest.raises(MediaCrashed) as crash:
            media.result()
    if "without a result" not in str(crash.value):
        raise crash.value
    return outcomes_of(request)


def outcomes_of(request: MediaRequest) -> dict[str, str]:
    outcomes: dict[str, str] = json.loads((request.out_directory / "outcomes.json").read_text())
    return outcomes


@pytest.fixture
def targets(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "removable").write_bytes(b"")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        server.listen()
        yield


@pytest.mark.usefixtures("targets")
def test_inside_the_sandbox_every_attack_fails(request_: MediaRequest, tmp_path: Path, canary: Canary) -> None:
    # Given a media process that was taken over; When it tries every attack
    outcomes = tried(replace(request_, sandbox="required"), attacks(tmp_path, port=canary.port))

    # Then none succeeded, no server was reached, and the files outside are unchanged
    assert [attack for attack, outcome in outcomes.items() if outcome == "done"] == []
    assert canary.requests == []
    assert not (tmp_path / "outside").exists()
    assert (tmp_path / "source.mp4").read_bytes() == SECRET


@pytest.mark.usefixtures("targets")
def test_without_the_sandbox_every_attack_succeeds(request_: MediaRequest, tmp_path: Path, canary: Canary) -> None:
    """So the test above would notice a missing layer."""
    # Some systems forbid every process to trace.
    plan = [attack for attack in attacks(tmp_path, port=canary.port) if attack[0] != "trace"]
    outcomes = tried(replace(request_, sandbox="off"), plan)
    assert [attack for attack, outcome in outcomes.items() if outcome != "done"] == []
    assert len(canary.requests) == 1


STOPPED_BY: dict[Layer, set[str]] = {
    "network": {"connect"},
    "files": {"connect", "read", "list_directory", "write", "link", "remove", "send_signal"},
    "system calls": {"connect", "connect_by_path", "fork", "run", "change_mode", "send_signal", "outlive_parent"},
}


@pytest.mark.usefixtures("targets")
@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_alone_stops_its_attacks(
    layer: Layer, request_: MediaRequest, tmp_path: Path, canary: Canary
) -> None:
    # Given a process with one layer; When it tries the attacks that this layer must stop
    plan = [attack for attack in attacks(tmp_path, port=canary.port) if attack[0] in STOPPED_BY[layer]]
    outcomes = tried(replace(request_, sandbox="required"), plan, layers=[layer])

    # Then none succeeds
    assert [attack for attack, outcome in outcomes.items() if outcome == "done"] == []


def test_the_work_of_a_media_process_is_possible(request_: MediaRequest) -> None:
    # Given what a media process needs; When it is tried, Then it works
    out = str(request_.out_directory / "still.jpg")
    plan: Plan = [("read", str(request_.source)), ("write", out), ("read", out), ("remove", out), ("threads", 20)]
    assert set(tried(replace(request_, sandbox="required"), plan).values()) == {"done"}


@pytest.mark.parametrize(
    ("attempt", "limits", "reason"),
    [
        (("spin", ""), MediaLimits(cpu_seconds=1), "ran out of CPU time"),
        (("hold", 600 << 20), MediaLimits(resident_bytes=300 << 20), "used more memory than allowed"),
        (("fill", 1 << 20), MediaLimits(output_bytes=20 << 20), "The result is larger"),
        (("fill", 0), MediaLimits(output_files=500), "wrote more files than allowed"),
        (("execute", "/bin/true"), MediaLimits(), None),
        (("allocate", 8 << 30), MediaLimits(), None),
        (("raise_limit", ""), MediaLimits(), None),
        (("threads", 5000), MediaLimits(memory_bytes=1 << 30), None),
    ],
)
def test_an_exceeded_limit_stops_the_process_and_is_named(
    attempt: tuple[str, Any], limits: MediaLimits, reason: str | None, request_: MediaRequest
) -> None:
    # Given a process that uses more than it may
    request = replace(request_, limits=limits, sandbox="required")

    # When it is followed, Then it is stopped with the reason, or the system refuses
    if reason is None:
        assert all(outcome.startswith("refused") for outcome in tried(request, [attempt]).values())
    else:
        with pytest.raises((MediaCrashed, ResultTooLarge), match=reason):
            tried(request, [attempt])


def test_a_sleeping_process_ends_with_the_block(request_: MediaRequest) -> None:
    # Given a process that sleeps
    command = (sys.executable, "-I", "-c", ESCAPE, json.dumps([("sleep", "")]))
    with MediaProcess(request_, command=command) as media:
        updates, pid = media.updates(poll_seconds=0.01), media.pid
        # When its caller leaves the block
        for _ in range(20):
            assert next(updates) == 0.0

    # Then it no longer exists
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_ordinary_user_has_the_sandbox_layers_too(tmp_path: Path) -> None:
    # Given a user without privileges who can run this interpreter, and a directory of that user
    need_users()
    need_namespaces()
    exposing = exposing_interpreter(tmp_path)
    user = (*exposing, "setpriv", f"--reuid={STRANGER_ID}", f"--regid={STRANGER_ID}", "--clear-groups")
    with tempfile.TemporaryDirectory() as name, running_canary() as canary:
        directory = Path(name)
        for path in (directory, directory / "out"):
            path.mkdir(exist_ok=True)
            os.chown(path, STRANGER_ID, STRANGER_ID)
        (directory / "neighbour.mp4").write_bytes(SECRET)
        request = MediaRequest(directory / "source.mp4", "mp4", directory / "out", sandbox="required")
        plan: Plan = [
            ("connect", canary.port),
            ("read", str(directory / "neighbour.mp4")),
            ("fork", ""),
            ("threads", 400),
        ]

        # When that user runs a hostile process
        ended = subprocess.run(
            [*user, sys.executable, "-I", "-c", ESCAPE, json.dumps(plan)],
            input=request.to_json(),
            capture_output=True,
            text=True,
            check=False,
        )

        # Then all is refused, also too many threads: in a user namespace they are counted for this process alone
        assert ended.returncode == 0, ended.stderr
        assert all(outcome.startswith("refused") for outcome in outcomes_of(request).values())
        assert canary.requests == []


def test_without_namespaces_the_other_layers_block_the_network() -> None:
    # Given a machine without namespaces, and a hostile process there
    with tempfile.TemporaryDirectory() as name, running_canary() as canary:
        (Path(name) / "out").mkdir()
        request = MediaRequest(Path(name) / "source.mp4", "mp4", Path(name) / "out", sandbox="best-effort")
        plan: Plan = [("connect", canary.port), ("fork", ""), ("read", "/etc/passwd")]
        command = [*without_namespaces(), sys.executable, "-I", "-c", ESCAPE, json.dumps(plan)]

        # When it tries to connect to a server
        ended = subprocess.run(command, input=request.to_json(), capture_output=True, text=True, check=False)

        # Then that fails
        assert ended.returncode == 0, ended.stderr
        assert all(outcome.startswith("refused") for outcome in outcomes_of(request).values())
        assert canary.requests == []


@pytest.mark.parametrize("mode", ["required", "off"])
def test_a_video_is_analysed_in_every_mode(mode: Any, tmp_path: Path, clips_directory: Path) -> None:
    # Given a valid clip; When it is analysed with several decoder threads
    request = MediaRequest(clips.cuts_clip(clips_directory).path, "mp4", tmp_path, decoder_threads=4, sandbox=mode)
    with MediaProcess(request) as media:
        for _fraction in media.updates():
            pass

        # Then it succeeds, and no library has written to stderr
        assert len(media.result().shots) == 3
        assert media.stderr_tail == ""


def test_a_required_layer_that_is_unavailable_stops_the_process(tmp_path: Path, clips_directory: Path) -> None:
    # Given a machine without namespaces
    request = MediaRequest(clips.cuts_clip(clips_directory).path, "mp4", tmp_path, sandbox="required")
    command = (*without_namespaces(), sys.executable, "-I", "-m", "clipzy_worker.analysis", str(os.getpid()))

    # When they are required, Then the process refuses; When they are not, Then it works
    def result(request: MediaRequest) -> Analysis:
        with MediaProcess(request, command=command) as media:
            for _fraction in media.updates():
                pass
            return media.result()

    with pytest.raises(MediaCrashed, match="could not be confined: network: no namespaces are left"):
        result(request)
    assert result(replace(request, sandbox="best-effort")).shots


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other machines have no second table of calls")
def test_calls_of_another_architecture_end_the_process(request_: MediaRequest) -> None:
    """With those numbers a filter of names would be passed: 20 is getpid there, and writev here."""
    plan: Plan = [("call_as_32_bit", 20)]
    with pytest.raises(MediaCrashed, match="forbidden system call"):
        tried(replace(request_, sandbox="required"), plan, layers=["system calls"])


LOAD, JUMP_IF_EQUAL, JUMP_IF_SET, RETURN = 0x20, 0x15, 0x45, 0x06
KILL_PROCESS, ALLOW = 0x80000000, 0x7FFF0000


def verdict_of(program: bytes, *, architecture: int, number: int) -> int:
    """What the kernel would decide on a call without arguments."""
    call = struct.pack("=IIQ6Q", number, architecture, 0, *[0] * 6)
    instructions, position, value = list(struct.iter_unpack("=HBBI", program)), 0, 0
    while True:
        code, if_true, if_false, operand = instructions[position]
        match code:
            case _ if code == RETURN:
                return int(operand)
            case _ if code == LOAD:
                (value,) = struct.unpack_from("=I", call, operand)
                position += 1
            case _:
                assert code in (JUMP_IF_EQUAL, JUMP_IF_SET)
                is_true = value == operand if code == JUMP_IF_EQUAL else bool(value & operand)
                position += 1 + (if_true if is_true else if_false)


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_the_filter_is_for_one_architecture(machine: str) -> None:
    # Given the filter of one architecture
    own = seccomp.ARCHITECTURES[machine]
    program = seccomp.program(own, pid=os.getpid())
    # When any call of another one is made, Then the process is killed
    others = {0x40000003, 0x40000028, *(one.audit_number for one in seccomp.ARCHITECTURES.values())}
    for other in others - {own.audit_number}:
        verdicts = {verdict_of(program, architecture=other, number=number) for number in range(500)}
        assert verdicts == {KILL_PROCESS}
    # And of its own those are allowed that are named
    allowed = {n for n in range(500) if verdict_of(program, architecture=own.audit_number, number=n) == ALLOW}
    assert allowed >= set(seccomp.named_numbers(own).values())


# Those of arm64 are generic; those of x86-64 are installed only there.
KERNEL_TABLES = {"aarch64": "asm-generic/unistd.h"}
if platform.machine() == "x86_64":
    KERNEL_TABLES["x86_64"] = "x86_64-linux-gnu/asm/unistd_64.h"


@pytest.mark.parametrize("machine", KERNEL_TABLES)
def test_system_call_numbers_are_those_of_the_kernel(machine: str) -> None:
    # Given the kernel's table, if it is installed
    path = Path("/usr/include") / KERNEL_TABLES[machine]
    if not path.exists():
        missing("the kernel's headers (linux-libc-dev)")
    table = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text()))

    # When ours is compared with it, Then each number is that of its name
    named = seccomp.named_numbers(seccomp.ARCHITECTURES[machine])
    table |= {"newfstatat": table.get("newfstatat", table.get("fstatat", ""))}
    assert {name: str(number) for name, number in named.items()} == {name: table[name] for name in named}
