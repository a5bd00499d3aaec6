"""The units, and the steps of docs/deploy.md that set them up, carried out on a machine with systemd."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dotenv
import pytest

from clipzy_api.cli.embedded_redis import find_server
from tests.support.machine import Machine, running_machine
from tests.support.waiting import eventually
from tests.support.wheels import ROOT, add_dependencies, build_wheel

UNITS = sorted((ROOT / "systemd").iterdir())
SERVICES = ("clipzy-web", "clipzy-worker@1", "clipzy-worker@2")
SECTION = (ROOT / "docs/deploy.md").read_text().partition("\n## With systemd\n")[2].partition("\n## ")[0]
STEPS = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
GIVEN = "/usr/local/lib/given"
DEPENDENCIES = f"{GIVEN}/dependencies"

# What Debian's package redis-server has, with another server.
REDIS_UNIT = f"""
[Service]
ExecStart={GIVEN}/valkey-server /etc/redis/redis.conf
"""
SHOWING_ENVIRONMENT = """
[Service]
Type=oneshot
EnvironmentFile=/etc/other.env
ExecStart=/usr/bin/env --null
StandardOutput=file:/run/shown
"""
ALLOWED, QUOTED = "A1_.,:;/@+=%~-b", 'a b#$c "d" e'
REDIS_CONFIG = "bind 127.0.0.1\nport 6379\ndir /var/lib/redis\n"


def steps(beginning: str, *, until: str | None = None) -> str:
    """The commands of the page from those that begin so, until before those that begin so."""
    starts = [index for index, step in enumerate(STEPS) if step.startswith(beginning)]
    assert starts, beginning
    end = next(index for index, step in enumerate(STEPS) if step.startswith(until)) if until else starts[-1] + 1
    return "".join(STEPS[starts[0] : end])


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a new machine gets from elsewhere: the wheel, a Redis, and what the package index has."""
    directory = tmp_path_factory.mktemp("given")
    build_wheel(directory)
    add_dependencies(directory / "dependencies")
    shutil.copy(find_server(), directory / "valkey-server")
    directory.chmod(0o755)
    return directory


@contextmanager
def new_machine(directory: Path, given: Path) -> Iterator[Machine]:
    directory.mkdir()
    with running_machine(directory, given={GIVEN: given}) as machine:
        machine.run(f"cp {GIVEN}/*.whl .; mkdir -p /etc/redis /var/lib/redis")
        (machine.root / "etc/redis/redis.conf").write_text(REDIS_CONFIG)
        (machine.root / "etc/systemd/system/redis-server.service").write_text(REDIS_UNIT)
        yield machine


def install(machine: Machine, commands: str) -> None:
    """Carry out these steps, where pip finds the packages that the wheel needs without an index."""
    machine.run(commands, PYTHONPATH=DEPENDENCIES, PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
    machine.run(f"echo {DEPENDENCIES} > $(echo /opt/clipzy/lib/python*/site-packages)/dependencies.pth")


def set_up(machine: Machine) -> None:
    """All steps; with a sandbox that has to be complete, and without the 30 s for which a new Redis is watched."""
    install(machine, steps("umask 022", until="systemctl enable"))
    machine.run("echo CLIPZY_SANDBOX=required >> /etc/clipzy.env")
    python(machine, "members.open_fresh(RedisDatabase(settings_from_env().redis_url))")
    machine.run(steps("systemctl enable"))
    eventually(lambda: is_up(machine), "a front end with two workers", seconds=60)


def clipzy(machine: Machine, command: str) -> str:
    """What it prints, as the page says to run it."""
    return machine.run(f"cd /var/lib/clipzy && runuser --user clipzy -- {command}")


def python(machine: Machine, statement: str) -> str:
    modules = (
        "from clipzy_storage.config.environment import load_dotenv, settings_from_env",
        "from clipzy_storage.guard import members",
        "from clipzy_storage.redis_client import RedisDatabase",
        "load_dotenv()",
    )
    return clipzy(machine, f"/opt/clipzy/bin/python -c '{'; '.join((*modules, statement))}'")


def is_up(machine: Machine) -> bool:
    """Whether the front end has both workers. Fails if one of them has ended for good."""
    assert machine.run("systemctl list-units --failed --plain --no-legend") == "", machine.log()
    ask = "curl --silent --fail http://127.0.0.1:8000/readyz || true"
    return bool(re.search(r'"live_workers": ?2\b', machine.run(ask)))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, given: Path) -> Iterator[Machine]:
    """One on which the steps were carried out, until the service runs."""
    with new_machine(tmp_path_factory.mktemp("systemd") / "machine", given) as machine:
        paths = paths_in_units()
        assert [path for path in paths if machine.run(f"ls -d {path} 2>/dev/null || true")] == []
        set_up(machine)
        yield machine


def paths_in_units() -> list[str]:
    text = "\n".join(line for path in UNITS for line in path.read_text().splitlines() if not line.startswith("#"))
    return sorted(set(re.findall(r"(?<==)/[\w./-]+", text)))


def test_the_steps_create_every_path_that_the_units_name(machine: Machine) -> None:
    paths = paths_in_units()
    assert {"/etc/clipzy.env", "/opt/clipzy/bin/clipzy", "/var/lib/clipzy"} == set(paths)
    machine.run("".join(f"test -e {path}\n" for path in paths))


def test_systemd_finds_nothing_to_complain_of(machine: Machine) -> None:
    found = machine.run(f"systemd-analyze verify clipzy.target {' '.join(f'{unit}.service' for unit in SERVICES)} 2>&1")
    assert found == ""


def test_nobody_else_reads_settings_and_data(machine: Machine) -> None:
    modes = machine.run(
        "stat --format '%n %a %U %G' /etc/clipzy.env /var/lib/clipzy /var/lib/clipzy/storage /opt/clipzy"
    )
    assert modes.splitlines() == [
        "/etc/clipzy.env 640 root clipzy",
        "/var/lib/clipzy 750 clipzy clipzy",
        "/var/lib/clipzy/storage 750 clipzy clipzy",
        "/opt/clipzy 755 root root",
    ]
    for path in ("/etc/clipzy.env", "/var/lib/clipzy/storage"):
        assert machine.run(f"runuser --user nobody -- head {path} 2>/dev/null || echo refused") == "refused\n"
    assert machine.run("find /opt/clipzy /etc/systemd/system/clipzy* -writable -user clipzy") == ""


def test_a_job_is_done_with_the_first_key(machine: Machine) -> None:
    # Given the last step
    *_, doctor, make_key = steps("cd /var/lib/clipzy").splitlines()
    assert re.findall("^(?:FAIL|warn).*", machine.run(f"cd /var/lib/clipzy\n{doctor}"), re.MULTILINE) == []
    key = machine.run(f"cd /var/lib/clipzy\n{make_key}").split()[0]
    # When a video is submitted with its key
    submit = "/opt/clipzy/bin/clipzy submit /opt/clipzy/lib/python*/site-packages/clipzy_api/cli/demo.mp4"
    job = json.loads(machine.run(f"{submit} --config '{{\"reuse\": false}}' --wait --json", CLIPZY_API_KEY=key))
    # Then it is analysed, in the whole sandbox; without a key there is nothing
    assert job["status"] == "completed"
    assert "sandbox.layer_unavailable" not in machine.log()
    answer = "curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:8000/api/v1/jobs"
    assert machine.run(answer) == "401"
    assert machine.run(f"{answer} --header 'Authorization: Bearer {key}'") == "200"


@pytest.mark.parametrize("unit", SERVICES)
def test_a_unit_gives_no_privilege(machine: Machine, unit: str) -> None:
    status = machine.run(f"cat /proc/{machine.main_pid(unit)}/status")
    found = dict(line.split(":\t", 1) for line in status.splitlines())
    assert (found["NoNewPrivs"], found["Seccomp"], found["Umask"]) == ("1", "2", "0077")
    assert {int(found[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert found["Uid"].split() == [machine.run("id --user clipzy").strip()] * 4
    rating = machine.run(f"systemd-analyze security {unit} --no-pager | tail -1")
    assert float(rating.partition("service: ")[2].split()[0]) < 2.5


def test_commands_have_the_settings_of_the_units(machine: Machine) -> None:
    # Given a file with every character that the page allows, and others between quotes
    settings = machine.root / "etc/other.env"
    settings.write_text((machine.root / "etc/clipzy.env").read_text() + f"PUBLIC_URL={ALLOWED}\nOTHER='{QUOTED}'\n")
    # When systemd reads it, and when a command does
    (machine.root / "etc/systemd/system/showing.service").write_text(SHOWING_ENVIRONMENT)
    machine.run("systemctl daemon-reload; systemctl start showing")
    by_systemd = dict(line.split("=", 1) for line in machine.run("cat /run/shown").split("\0") if line)
    by_command = dotenv.dotenv_values(settings)
    # Then they find the same
    assert by_command.items() <= by_systemd.items()
    assert (by_command["PUBLIC_URL"], by_command["OTHER"]) == (ALLOWED, QUOTED)


def wait_for_worker(machine: Machine, unit: str, *, other_than: int = 0) -> None:
    def is_ready() -> bool:
        pid = machine.main_pid(unit)
        return pid not in (0, other_than) and bool(re.search(rf"worker\.ready .* pid={pid}$", machine.log(), re.M))

    eventually(is_ready, f"a ready {unit}", seconds=60)


def test_a_killed_worker_is_started_again_and_a_wrong_setting_ends_it(machine: Machine) -> None:
    # When a worker is killed, then there is another one
    killed = machine.main_pid("clipzy-worker@1")
    machine.run(f"kill -KILL {killed}")
    wait_for_worker(machine, "clipzy-worker@1", other_than=killed)
    # When one is started with a wrong setting
    machine.run("echo JOB_LEASE_SECONDS=soon >> /etc/clipzy.env; systemctl restart clipzy-worker@2")
    try:
        state = "systemctl show --property=ActiveState,ExecMainStatus,NRestarts clipzy-worker@2"
        eventually(lambda: "ActiveState=failed" in machine.run(state), "a worker that has ended", seconds=30)
        # Then it is left alone, and the log says why
        assert sorted(machine.run(state).split()) == ["ActiveState=failed", "ExecMainStatus=78", "NRestarts=0"]
        assert "JOB_LEASE_SECONDS=soon is wrong" in machine.log()
    finally:
        machine.run("sed -i /JOB_LEASE_SECONDS/d /etc/clipzy.env; systemctl restart clipzy-worker@2")
    wait_for_worker(machine, "clipzy-worker@2")


def test_upgrading_keeps_what_there_is_and_removing_leaves_nothing(machine: Machine) -> None:
    # Given a key, and a file of the old version that the new one does not have
    key = clipzy(machine, "/opt/clipzy/bin/clipzy keys create other").split()[0]
    old = "$(echo /opt/clipzy/lib/python*/site-packages)/clipzy_api/of_the_old_version.py"
    machine.run(f"touch {old}")

    # When the service is upgraded
    stop, *commands, start = steps("systemctl stop").splitlines(keepends=True)
    stopped = machine.run(f"{stop}systemctl show --property=ActiveState,Result {' '.join(SERVICES)}").split()
    install(machine, "".join(commands))
    machine.run(start)

    # Then all of it was stopped before that and is up again, with the same keys and without the old file
    assert set(stopped) == {"ActiveState=inactive", "Result=success"}
    eventually(lambda: is_up(machine), "a front end with two workers", seconds=60)
    ask = "curl --silent --fail http://127.0.0.1:8000/api/v1/me"
    assert json.loads(machine.run(f"{ask} --header 'Authorization: Bearer {key}'"))["key"]["name"] == "other"
    machine.run(f"test ! -e {old}")

    # When it is removed
    before = machine.run("systemctl list-units --all --plain --no-legend 'clipzy*' | wc --lines")
    machine.run(steps("systemctl disable"))

    # Then no file, process or user of it is left
    assert int(before) == len(SERVICES) + 1  # and the target
    assert [path for path in paths_in_units() if machine.run(f"ls -d {path} 2>/dev/null || true")] == []
    assert machine.run("find /etc/systemd /run/systemd -name 'clipzy*'; pgrep -f '[/]clipzy' || true") == ""
    assert machine.run("getent passwd clipzy || getent group clipzy || true") == ""
