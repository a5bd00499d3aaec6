"""The profile `monitoring`: a real Prometheus reads a real front end, by the files that compose mounts."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.metrics.definitions import METRICS
from clipzy_storage.models.access import Scope
from tests.support.api_client import ApiClient
from tests.support.deployment import Deployment
from tests.support.processes import Process, free_port
from tests.support.requirements import missing
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

COMPOSE = Path(__file__).parents[2] / "compose"
DASHBOARD: Any = json.loads((COMPOSE / "grafana/clipzy.json").read_text())
ALERTS: dict[str, Any] = {
    rule["alert"]: rule
    for group in yaml.safe_load((COMPOSE / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
QUERIES = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
INTERVAL_SECONDS = 1
GRAFANA_VARIABLES = {"$__rate_interval": "10s"}
"""As Grafana fills them in for this interval, or a little more."""


class Prometheus:
    """Prometheus as compose starts it, but on a free port, with this machine's program."""

    def __init__(self, directory: Path, *, target: str, key: str) -> None:
        program = shutil.which("prometheus")
        if program is None:
            missing("prometheus (Debian's package of that name)")
        port = free_port()
        self.url, self.directory = f"http://127.0.0.1:{port}", directory
        env = {
            "PATH": os.environ["PATH"],
            "METRICS_API_KEY": key,
            "PROMETHEUS_PROGRAM": program,
            "PROMETHEUS_TARGET": target,
            "PROMETHEUS_INTERVAL": f"{INTERVAL_SECONDS}s",
            "PROMETHEUS_LISTEN": f"127.0.0.1:{port}",
            "PROMETHEUS_STATE_DIR": str(directory / "state"),
            "PROMETHEUS_DATA_DIR": str(directory / "data"),
        }
        script = ["sh", str(COMPOSE / "prometheus.sh")]
        self.process = Process(script, cwd=directory, env=env, log=directory / "prometheus.log")

    def get(self, path: str, **query: str) -> Any:
        answer = requests.get(f"{self.url}/api/v1/{path}", params=query, timeout=30)
        assert answer.ok, answer.text
        return answer.json()["data"]

    def is_scraping(self) -> bool:
        assert self.process.is_running(), self.process.output()
        try:
            is_ready = requests.get(f"{self.url}/-/ready", timeout=30).ok
        except requests.ConnectionError:
            return False
        return is_ready and [target["health"] for target in self.get("targets")["activeTargets"]] == ["up"]

    def query(self, expression: str) -> Any:
        """What it answers now, as a list of values with their labels."""
        return self.get("query", query=expression)["result"]

    def alerts(self) -> dict[str, str]:
        """The state of each alert that is pending or firing."""
        return {alert["labels"]["alertname"]: alert["state"] for alert in self.get("alerts")["alerts"]}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, own_redis: RedisServer) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("stack"), redis_url=own_redis.url, CLIPZY_AUTH="keys") as stack:
        yield stack


@pytest.fixture(scope="module")
def prometheus(stack: Deployment, tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Prometheus:
    """It has seen a completed and a failed job, and the API's calls."""
    web = stack.web()
    stack.worker()
    keys = ApiKeys(LocalStorage(stack.storage, shared=False))

    def key(*scopes: Scope) -> str:
        return str(keys.create("test", owner="everyone", scopes=scopes, expires_at=None)[1])

    found = Prometheus(tmp_path_factory.mktemp("prometheus"), target=f"127.0.0.1:{web.port}", key=key(Scope.METRICS))
    stack.processes.append(found.process)
    eventually(found.is_scraping, "a Prometheus that reads the front end")
    headers = {"Authorization": f"Bearer {key(Scope.READ, Scope.WRITE)}"}
    with ApiClient(web.url, headers=headers) as api:
        eventually(lambda: api.get("/me").ok, "a key that is known")
        broken = tmp_path_factory.mktemp("broken") / "broken.mp4"
        broken.write_bytes(clip.read_bytes()[:2000])
        for path, status in ((clip, "completed"), (broken, "failed")):
            assert api.finished(api.upload(path)["job_id"])["status"] == status
    eventually(lambda: found.query('clipzy_stage_seconds_count{stage="video_analysis"} > 0'), "counts of the worker")
    return found


def filled_in(expression: str) -> str:
    for name, value in GRAFANA_VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


@pytest.mark.parametrize(("title", "expression"), QUERIES, ids=[title for title, _ in QUERIES])
def test_every_panel_shows_something(prometheus: Prometheus, title: str, expression: str) -> None:
    assert eventually(lambda: prometheus.query(filled_in(expression)), f"a value of {title}")


def test_what_keda_asks_has_one_value(prometheus: Prometheus) -> None:
    queries = re.findall(r"^ +query: (.*)$", (COMPOSE.parent / "docs/scaling.md").read_text(), re.MULTILINE)
    assert [len(prometheus.query(query)) for query in queries] == [1, 1]


def test_every_metric_is_on_the_dashboard() -> None:
    shown = " ".join(expression for _, expression in QUERIES)
    assert [name for name in METRICS if name not in shown] == []


def test_no_query_names_a_metric_or_a_label_that_is_none() -> None:
    expressions = [expression for _, expression in QUERIES] + [rule["expr"] for rule in ALERTS.values()]
    named = {name for one in expressions for name in re.findall(r"clipzy_\w+", one)}
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in named} <= METRICS.keys()


def test_prometheus_has_taken_every_alert(prometheus: Prometheus) -> None:
    def evaluated() -> Any:
        rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        return rules if all(rule["health"] == "ok" for rule in rules) else None

    rules = eventually(evaluated, "rules that were evaluated")
    assert {rule["name"] for rule in rules} == ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_can_be_asked_for(prometheus: Prometheus, name: str) -> None:
    """And says nothing of a deployment that is well."""
    few_bytes = name == "ClipzyStorageFillsUp"  # the disk of this machine may be as full as it likes
    assert prometheus.query(ALERTS[name]["expr"]) == [] or few_bytes


def test_an_alert_is_raised_for_what_it_is_about(prometheus: Prometheus, stack: Deployment) -> None:
    # Given a deployment whose only worker stops
    stack.processes[1].stop()
    # Then Prometheus waits for two minutes more, to be sure
    eventually(lambda: prometheus.alerts().get("ClipzyNoWorkers") == "pending", "an alert")
    # And if the front end is gone too, it says that
    stack.processes[0].stop()
    eventually(lambda: prometheus.alerts().get("ClipzyUnreachable") == "pending", "another alert")


def test_promtool_accepts_the_files(prometheus: Prometheus) -> None:
    promtool = shutil.which("promtool")
    assert promtool
    for kind, path in (("rules", COMPOSE / "alerts.yml"), ("config", prometheus.directory / "state/prometheus.yml")):
        checked = subprocess.run([promtool, "check", kind, str(path)], capture_output=True, text=True, timeout=30)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_key_that_is_none_is_one_clear_line(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "METRICS_API_KEY": "clz_a b", "PROMETHEUS_STATE_DIR": str(tmp_path / "state")}
    done = subprocess.run(
        ["sh", str(COMPOSE / "prometheus.sh")], env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith("METRICS_API_KEY is wrong. Set it to a key as `clipzy keys create")
    assert not (tmp_path / "state").exists()
