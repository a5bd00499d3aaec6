"""Every command of every page is run by a test. This lists which one, for all that no test of a whole page runs."""

import importlib.util
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from clipzy_storage.config import settings

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "compose/README.md", ROOT / "demo/README.md"]

RUN_AS_A_WHOLE = {
    "docs/api.md": "tests/docs/test_api.py",
    "docs/cli.md": "tests/docs/test_cli.py",
    "docs/clips.md": "tests/docs/test_clips.py",
    "docs/index.md": "tests/docs/test_operating.py",
    "docs/licences.md": "tests/docs/test_licences.py",
    "docs/operating.md": "tests/docs/test_operating.py",
    "docs/webhooks.md": "tests/docs/test_webhooks.py",
}
"""Pages whose ``console`` blocks a test runs in one shell."""

SYSTEMD = "tests/deploy/test_systemd.py::machine"
UPGRADE = "tests/deploy/test_systemd.py::test_upgrading_keeps_what_there_is_and_removing_leaves_nothing"
COMPOSE_TESTS = "tests/deploy/test_compose.py"
COMPOSE = f"{COMPOSE_TESTS}::test_every_command_and_its_options_exist"
ENV_EXAMPLE = "tests/deploy/test_wheel.py::test_the_first_settings_come_from_the_wheel"
KEYS = "tests/cli/test_keys.py::test_a_key_is_made_listed_and_revoked"
SCALE = "tests/docs/test_monitoring.py::test_compose_is_scaled_by_the_age_of_the_oldest_job"
CRASH_POINTS = "tests/e2e/test_crash_points.py::test_a_worker_that_exits"

RUN_BY = {
    ("README.md", "make demo"): "tests/deploy/test_wheel.py::test_the_demo_runs",
    ("README.md", ".venv/bin/clipzy up"): "tests/cli/test_up.py::test_the_service_runs_and_stops",
    ("README.md", "make up"): "tests/cli/test_up.py::test_the_service_runs_and_stops",
    ("docs/page.md", "make up"): "tests/cli/test_up.py::test_the_service_runs_and_stops",
    ("README.md", "curl -F file"): "tests/docs/test_readme.py::test_the_calls_do_what_is_shown",
    ("README.md", ".venv/bin/clipzy up --workers 4"): "tests/cli/test_up.py::test_the_service_runs_and_stops",
    ("CONTRIBUTING.md", ".venv/bin/python -m clipzy_api.cli.env_example"): ENV_EXAMPLE,
    ("CONTRIBUTING.md", "export REDIS_URL"): "tests/deploy/test_wheel.py::test_a_front_end_and_a_worker_run",
    ("CONTRIBUTING.md", 'echo "committed'): CRASH_POINTS,
    ("docs/api.md", "curl -H 'Authorization"): KEYS,
    ("docs/cli.md", "eval"): "tests/cli/test_client_commands.py::test_the_shell_completes_commands_options_and_files",
    ("docs/deploy.md", "export CLIPZY_AUTH=keys"): KEYS,
    ("docs/deploy.md", "echo HTTP_ADDRESS"): f"{COMPOSE_TESTS}::test_keys_are_asked_for_where_other_machines_reach_it",
    ("docs/deploy.md", "docker compose up"): COMPOSE,
    ("docs/deploy.md", 'echo "AWS_SECRET'): f"{COMPOSE_TESTS}::test_the_file_for_s3_names_known_variables_only",
    ("docs/deploy.md", "docker compose --profile monitoring"): COMPOSE,
    ("docs/deploy.md", 'echo "METRICS_API_KEY'): COMPOSE,
    ("docs/deploy.md", "umask 022"): SYSTEMD,
    ("docs/deploy.md", "python3 -m venv --clear"): SYSTEMD,
    ("docs/deploy.md", "redis_password="): SYSTEMD,
    ("docs/deploy.md", "install --owner root"): SYSTEMD,
    ("docs/deploy.md", "systemctl enable"): SYSTEMD,
    ("docs/deploy.md", "cd /var/lib/clipzy"): "tests/deploy/test_systemd.py::test_a_job_is_done_with_the_first_key",
    ("docs/deploy.md", "systemctl stop"): UPGRADE,
    ("docs/deploy.md", "systemctl disable"): UPGRADE,
    ("docs/deploy.md", "python3 -m venv clipzy"): "tests/deploy/test_wheel.py::test_the_demo_runs",
    ("docs/deploy.md", "FLOWER_BASIC_AUTH="): "tests/deploy/test_flower.py::test_it_shows_the_workers",
    ("docs/performance.md", "TMPDIR=/dev/shm .venv/bin/pytest"): "tests/maintenance/test_many_jobs.py",
    ("docs/reliability.md", "make chaos"): "tests/chaos/test_chaos.py::test_every_accepted_job_ends_once",
    ("docs/reliability.md", 'echo "committed'): CRASH_POINTS,
    ("docs/scaling.md", "MIN_WORKERS=1"): SCALE,
    ("docs/uploads.md", "curl -sS --json"): "tests/e2e/test_imports.py::test_a_video_is_imported_analysed_and_deleted",
}
"""The test that does what a block does, by the page and the beginning of the block."""

NOT_RUN = {
    ("CONTRIBUTING.md", "make test"): "what runs this",
    ("CONTRIBUTING.md", ".venv/bin/pytest tests/jobs"): "what runs this",
    ("CONTRIBUTING.md", "# servers, disks"): "installs packages; .ci/run does it",
    ("docs/deploy.md", "apt-get install"): "installs packages; the tests bring their own Redis",
    ("docs/performance.md", "make bench"): "measures for half an hour; its parts are looked up below",
    ("docs/media-safety.md", ".venv/bin/python -m bench.worst_inputs"): "the same",
    ("docs/media-safety.md", ".venv/bin/python -m bench.render_memory"): "the same",
}
"""Blocks that no test runs, with the reason."""


def blocks() -> list[tuple[str, str, str]]:
    """Page, kind and content of every block of commands that no test of a whole page runs."""
    found = []
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        for kind, text in re.findall(r"^```(console|sh)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            if not (kind == "console" and name in RUN_AS_A_WHOLE):
                found.append((name, kind, text.removeprefix("$ ")))
    return found


ALL_BLOCKS = [(name, text) for name, _, text in blocks()]


def is_of_settings(text: str) -> bool:
    return all(re.match(r"#|[A-Z_0-9]+=\S+$", line) for line in text.splitlines())


@pytest.mark.parametrize(("name", "text"), ALL_BLOCKS, ids=lambda value: value.splitlines()[0][:60])
def test_every_command_is_run(name: str, text: str) -> None:
    """Or its block has settings only, of which each must be one."""
    if is_of_settings(text):
        known = {*settings.names(), *re.findall(r"^#(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)}
        assert set(re.findall(r"^(\w+)=", text, re.MULTILINE)) <= known
    else:
        assert [key for key in (*RUN_BY, *NOT_RUN) if key[0] == name and text.startswith(key[1])]


@pytest.mark.parametrize("key", [*RUN_BY, *NOT_RUN], ids=lambda key: f"{key[0]} {key[1][:40]}")
def test_nothing_is_listed_that_is_not_shown(key: tuple[str, str]) -> None:
    assert [text for name, text in ALL_BLOCKS if name == key[0] and text.startswith(key[1])]


@pytest.mark.parametrize("test", sorted({*RUN_BY.values(), *RUN_AS_A_WHOLE.values()}))
def test_the_test_that_is_named_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"def {name}(" in (ROOT / path).read_text() if name else (ROOT / path).exists()


@cache
def everything_shown() -> str:
    return "\n".join(page.read_text() for page in PAGES)


def test_every_target_of_make_that_is_named_is_there() -> None:
    shown = re.findall(r"(?:`|\$ |^)make ([a-z-]+)(?=`|\s+#|\s+[A-Z]+=|$)", everything_shown(), re.MULTILINE)
    assert "bench" in shown
    for target in sorted(set(shown)):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True, timeout=60)


def test_every_module_that_is_run_is_there() -> None:
    modules = sorted(set(re.findall(r"python3? -m ((?:clipzy_|bench|tests)[\w.]*)", everything_shown())))
    assert "bench.worst_inputs" in modules
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []
