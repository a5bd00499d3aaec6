"""Processes are told apart, and children die with their parents: real processes throughout."""

import json
import signal
import subprocess
import sys
from dataclasses import replace

from clipzy_storage.process import ProcessIdentity, with_parent_death_signal
from tests.support.processes import Watched

REPORTING = (
    "import json; from clipzy_storage.process import ProcessIdentity as P;"
    " print(json.dumps(P.own().as_dict()), flush=True); input()"
)


def started() -> tuple["subprocess.Popen[str]", ProcessIdentity]:

    child = subprocess.Popen(
        [sys.executable, "-c", REPORTING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    return child, ProcessIdentity.from_dict(json.loads(child.stdout.readline()))


def test_a_running_process_is_running_and_an_ended_one_gone() -> None:
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
        assert identity.is_gone()  # though nobody has collected its exit status


def test_a_process_id_used_anew_is_another_process() -> None:
    own = ProcessIdentity.own()
    assert own.is_running()
    assert replace(own, start_ticks="1").is_gone()


def test_of_what_is_out_of_sight_nothing_is_known() -> None:
    own = ProcessIdentity.own()
    for elsewhere in (
        replace(own, host="another"),
        replace(own, boot_id="another"),
        replace(own, pid_namespace="pid:[1]"),
        replace(own, boot_id=""),
    ):
        gone = replace(elsewhere, start_ticks="1")
        assert not gone.is_gone()
        assert not gone.is_running()


def test_the_leash_ends_a_child_whose_parent_is_killed() -> None:
    # Given a process that holds another on a leash
    parent_code = (
        "import subprocess; from clipzy_storage.process import leashed\n"
        "child = subprocess.Popen(leashed('sleep', '600')); print(child.pid, flush=True); child.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = Watched(int(parent.stdout.readline()))
        # When the parent is killed, in a way that lets it say nothing
        parent.send_signal(signal.SIGKILL)
    # Then the child ends as well
    assert child.has_exited()


def test_a_leash_whose_holder_is_already_gone_ends_the_child_at_once() -> None:
    python, *rest = with_parent_death_signal("sleep", "600")
    someone_else = [python, *rest[:2], "1", *rest[3:]]
    assert subprocess.run(someone_else, timeout=60).returncode == -signal.SIGTERM
