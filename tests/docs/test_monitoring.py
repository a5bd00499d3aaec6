"""Every metric and every alert is in the documents, and docs/scaling.md does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipzy_storage.metrics.definitions import METRICS
from clipzy_storage.models.records import Queue
from tests.support.jobs import submitted
from tests.support.servers import running_front_end

ROOT = Path(__file__).parents[2]
SCALE = ROOT / "compose/scale.sh"
OPERATIONS, SCALING = ((ROOT / f"docs/{name}.md").read_text() for name in ("operations", "scaling"))
SCALED_OBJECT: Any = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", SCALING, re.DOTALL)[0])
LEAST_METRICS = """clipzy_queue_oldest_seconds{{queue="interactive"}} {oldest}
clipzy_queue_oldest_seconds{{queue="batch"}} 0.0
clipzy_queue_jobs{{queue="interactive"}} {waiting}
clipzy_queue_jobs{{queue="batch"}} 0.0
clipzy_worker_slots{{state="busy"}} 1.0
clipzy_worker_slots{{state="free"}} {free}
"""


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_there_with_its_kind_and_labels(name: str) -> None:
    metric = METRICS[name]
    (line,) = (line for line in OPERATIONS.splitlines() if line.startswith(f"| `{name}` |"))
    _, _, kind, labels, *_ = (cell.strip() for cell in line.split("|"))

    assert (kind, tuple(re.findall(r"`(\w+)`", labels))) == (metric.kind, metric.labels)
    if metric.labels in (("method",), ("error",), ("outcome",)):
        assert [values for values in metric.always if f"`{values[0]}`" not in line] == []


def test_no_other_metric_is_there() -> None:
    pages = "".join(page.read_text() for page in [*ROOT.glob("docs/*.md"), *ROOT.glob("compose/*")] if page.is_file())
    named = {re.sub("_(bucket|count|sum)$", "", name) for name in re.findall(r"\bclipzy_[a-z_]+\b", pages)}
    assert {name for name in named if name.endswith(("_total", "_seconds", "_bytes"))} <= METRICS.keys()


def test_every_alert_is_there() -> None:
    alerts = re.findall(r"- alert: (\w+)", (ROOT / "compose/alerts.yml").read_text())
    assert re.findall(r"^\| `(Clipzy\w+)` \|", OPERATIONS, re.MULTILINE) == alerts


class Compose:
    """A stand-in for `docker`, which the tests do not have: notes what it is told, and answers for a front end."""

    def __init__(self, directory: Path) -> None:
        self._calls, self._workers, self._metrics = (directory / name for name in ("calls", "workers", "metrics"))
        program = directory / "bin" / "docker"
        program.parent.mkdir()
        self._failing = directory / "failing"
        program.write_text(
            f"""#!/bin/sh
echo "$*" >>{self._calls}
if [ "$2" = "$(cat {self._failing} 2>/dev/null)" ]; then exit 1; fi
case "$2" in
ps) cat {self._workers} ;;
exec) if [ -e {self._metrics} ]; then cat {self._metrics}; else shift 6; METRICS_API_KEY= exec "$@"; fi ;;
esac
"""
        )
        program.chmod(0o755)
        self._path = f"{program.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._directory = directory

    def scale(self, workers: int, metrics: str | None, **settings: str) -> "subprocess.CompletedProcess[str]":
        """What the script does while so many run. Without ``metrics`` they are asked for in fact."""
        self._workers.write_text("id\n" * workers)
        self._metrics.unlink(missing_ok=True)
        if metrics is not None:
            self._metrics.write_text(metrics)
        env = {"PATH": self._path, **settings}
        return subprocess.run(
            ["sh", str(SCALE), "--once"], cwd=self._directory, env=env, capture_output=True, text=True, timeout=60
        )

    def fail_at(self, command: str) -> None:
        """Refuse this command of `docker compose` from now on."""
        self._failing.write_text(command)

    def wanted(self) -> int | None:
        """How many workers it asked for at last, if it did."""
        found = re.findall(r"^compose up .*--scale worker=(\d+) worker$", self._calls.read_text(), re.MULTILINE)
        self._calls.unlink()
        return int(found[-1]) if found else None


@pytest.fixture
def compose(tmp_path: Path) -> Compose:
    return Compose(tmp_path)


@pytest.mark.parametrize(
    ("workers", "oldest", "waiting", "free", "wanted"),
    [
        (1, 61.0, 3, 0, 2),
        (4, 61.0, 3, 0, 6),
        (6, 1e6, 3, 0, None),  # as many as there may be
        (2, 59.0, 3, 0, None),  # not yet
        (2, 0.0, 0, 0, None),  # all are at work
        (3, 0.0, 0, 1, 2),
        (2, 0.0, 0, 2, None),  # as few as there may be
        (0, 0.0, 0, 0, 2),
    ],
)
def test_compose_is_scaled_by_the_age_of_the_oldest_job(
    compose: Compose, workers: int, oldest: float, waiting: int, free: int, wanted: int | None
) -> None:
    metrics = LEAST_METRICS.format(oldest=oldest, waiting=waiting, free=free)
    done = compose.scale(workers, metrics, MIN_WORKERS="2", MAX_WORKERS="6")

    assert (done.returncode, done.stderr) == (0, "")
    assert compose.wanted() == wanted


@pytest.mark.parametrize(("command", "wanted"), [("ps", None), ("up", 6)])
def test_a_docker_that_fails_stops_no_worker_and_does_not_end_it(
    compose: Compose, command: str, wanted: int | None
) -> None:
    compose.fail_at(command)
    done = compose.scale(4, LEAST_METRICS.format(oldest=61.0, waiting=3, free=0), MAX_WORKERS="6")
    assert (done.returncode, compose.wanted()) == (0, wanted)
    assert done.stderr.startswith("Docker ")


def test_it_reads_a_real_front_end(compose: Compose, tmp_path: Path, redis_url: str) -> None:
    # Given a job that has been waiting for some time, and no worker
    with running_front_end(tmp_path / "web", redis_url) as front_end:
        submitted(front_end.store, queue=Queue.BATCH)
        asked = {"METRICS_URL": f"{front_end.url}/metrics", "MIN_WORKERS": "0"}
        # Then a worker is started, as soon as it has waited for long enough
        assert compose.scale(0, None, GROW_AFTER_SECONDS="3600", **asked).returncode == 0
        assert compose.wanted() is None
        assert compose.scale(0, None, GROW_AFTER_SECONDS="0", **asked).returncode == 0
        assert compose.wanted() == 1
    # And while no front end answers, all stays as it is
    done = compose.scale(3, None, METRICS_URL=asked["METRICS_URL"])
    assert (done.returncode, compose.wanted()) == (0, None)
    assert done.stderr.endswith("No front end answers; the workers stay as they are.\n")


def test_wrong_settings_are_one_clear_line(compose: Compose) -> None:
    done = compose.scale(1, "", MAX_WORKERS="many")
    assert done.returncode == 78
    assert done.stderr.endswith("are whole numbers, not 'many'.\n")


def test_its_settings_are_in_the_table() -> None:
    read = set(re.findall(r"\$\{([A-Z_]+):-", SCALE.read_text()))
    assert [name for name in read if f"`{name}`" not in SCALING] == []


def test_keda_asks_for_metrics_that_there_are() -> None:
    queries = [trigger["metadata"]["query"] for trigger in SCALED_OBJECT["spec"]["triggers"]]
    assert {name for query in queries for name in re.findall(r"clipzy_\w+", query)} <= METRICS.keys()
