"""Processes are distinguished, and children die with their parents: real processes throughout."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from clipzy_storage.process import ProcessIdentity, with_parent_death_signal
from tests.support.processes import Watched

REPORTING = "from clipzy_storage.process import ProcessIdentity as P; print(P.own().to_json(), flush=True); input()"


def started() -> tuple["subprocess.Popen[str]", ProcessIdentity]:
    child = subprocess.Popen(
        [sys.executable, "-c", REPORTING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    return child, ProcessIdentity.from_json(child.stdout.readline())


def test_a_running_process_is_running_and_an_exited_one_is_gone() -> None:
    child, identity = started()
    with child:
        assert identity.is_running()
        assert not identity.is_gone()
        child.kill()
        child.wait()
        assert identity.is_gone()
        assert not identity.is_running()


def test_a_zombie_counts_as_gone() -> None:
    child, identity = started()
    with child:
        watched = Watched(child.pid)
        child.kill()
        assert watched.has_exited()
        assert identity.is_gone()  # though its exit status has not been collected


def test_a_reused_process_id_is_another_process() -> None:
    own = ProcessIdentity.own()
    assert own.is_running()
    assert replace(own, start_ticks="1").is_gone()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '"x"', b"\xff"], ids=["empty", "cut", "list", "null", "none", "text", "bytes"]
)
def test_what_is_not_an_identity_is_one_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own is one of them
        ProcessIdentity.from_json(text)


@pytest.mark.parametrize(("name", "value"), [("pid", "1"), ("pid", True), ("host", 1), ("start_ticks", None)])
def test_an_identity_s_fields_have_their_types(name: str, value: object) -> None:
    own = ProcessIdentity.own().as_dict()
    assert ProcessIdentity.from_dict(own | {"later": 1}) == ProcessIdentity.own()
    with pytest.raises(ValueError, match="does not identify a process"):
        ProcessIdentity.from_dict(own | {name: value})


def test_of_a_process_that_is_not_visible_nothing_is_known() -> None:
    own = ProcessIdentity.own()
    for other in (
        replace(own, host="another"),
        replace(own, boot_id="another"),
        replace(own, pid_namespace="pid:[1]"),
        replace(own, boot_id=""),
    ):
        gone = replace(other, start_ticks="1")
        assert not gone.is_gone()
        assert not gone.is_running()


def test_a_child_ends_when_its_parent_is_killed() -> None:
    # Given a process with a child that has a parent-death signal
    parent_code = (
        "import subprocess; from clipzy_storage.process import with_parent_death_signal\n"
        "child = subprocess.Popen(with_parent_death_signal('sleep', '600')); print(child.pid, flush=True); child.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = Watched(int(parent.stdout.readline()))
        # When the parent is killed by a signal that it cannot handle
        parent.send_signal(signal.SIGKILL)
    # Then the child ends as well
    assert child.has_exited()


def test_a_child_whose_parent_is_already_gone_ends_immediately() -> None:
    command = with_parent_death_signal("sleep", "600")
    of_another = ["1" if word == str(os.getpid()) else word for word in command]
    assert subprocess.run(of_another, timeout=60).returncode == -signal.SIGTERM
