"""Checks before a worker takes its first job: available sandbox layers, and versions of the media libraries."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.errors import ConfigurationError
from clipzy_worker.decode import probe
from clipzy_worker.sandbox import readiness
from clipzy_worker.sandbox.readiness import Readiness
from tests.support.hostile.no_namespaces import without_namespaces

READY = Readiness(versions="PyAV 18.1.0 with FFmpeg 8.1.2", outdated=None, unavailable={})
LACKING = READY.model_copy(update={"unavailable": {"network": "Operation not permitted"}})


def test_a_worker_does_not_start_without_a_required_layer() -> None:
    # Given a machine that lacks a layer; When it is required, Then that is one line with the reason and two remedies
    with pytest.raises(ConfigurationError) as caught:
        readiness.check(settings_from_env({"CLIPZY_SANDBOX": "required"}), probe=lambda: LACKING)
    (line,) = caught.value.problems
    assert "network (Operation not permitted)" in line
    assert "allow user namespaces" in line
    assert "best-effort" in line


@pytest.mark.parametrize(
    ("mode", "found", "event"),
    [
        ("best-effort", LACKING, "sandbox.layer_unavailable"),
        ("off", LACKING, "sandbox.off"),
        ("best-effort", READY, ""),
    ],
)
def test_an_unavailable_layer_is_logged_once(mode: str, found: Readiness, event: str, logged: list[Any]) -> None:
    readiness.check(settings_from_env({"CLIPZY_SANDBOX": mode}), probe=lambda: found)
    found_events = [(line["event"], line["log_level"], line.get("layer")) for line in logged]
    assert found_events == ([(event, "warning", "network" if "layer" in event else None)] if event else [])


@pytest.mark.parametrize("mode", ["required", "best-effort", "off"])
def test_outdated_libraries_are_refused_in_every_mode(mode: str) -> None:
    found = READY.model_copy(update={"outdated": "PyAV 17.0.0 is older than 18.1"})
    with pytest.raises(ConfigurationError, match="Reinstall"):
        readiness.check(settings_from_env({"CLIPZY_SANDBOX": mode}), probe=lambda: found)


@pytest.mark.parametrize(
    ("pyav", "ffmpeg", "libavcodec", "complaint"),
    [
        ("18.1.0", "8.1.2", (62, 28, 102), None),
        ("18.1.0", "8.1.2-1ubuntu1", (62, 28, 102), None),
        ("19.0.0", "n9.0.2-17-g2a57", (63, 1, 100), None),
        ("18.1.0", "N-121000-gabcdef", (63, 1, 100), None),
        ("18.1.0rc1", "8.1.2", (62, 28, 102), None),
        ("18.0.1", "8.1.2", (62, 28, 102), "PyAV 18.0.1 is older than 18.1"),
        ("18.1.0", "8.1.1", (62, 28, 101), "FFmpeg 8.1.1"),
        ("18.1.0", "7.1", (61, 19, 100), "FFmpeg 7.1"),
        ("18.1.0", "N-99999-gabcdef", (61, 3, 100), "libavcodec 61.3.100"),
    ],
)
def test_versions_have_floors(pyav: str, ffmpeg: str, libavcodec: tuple[int, ...], complaint: str | None) -> None:
    found = probe.below_floor(pyav=pyav, ffmpeg=ffmpeg, libavcodec=libavcodec)
    assert (found is None) if complaint is None else (found is not None and complaint in found)


def test_a_worker_without_namespaces_does_not_start_where_they_are_required(tmp_path: Path) -> None:
    # Given a machine without namespaces; When a worker starts there that requires all layers
    ended = subprocess.run(
        [*without_namespaces(), sys.executable, "-m", "clipzy_worker"],
        cwd=tmp_path,
        env=os.environ | {"CLIPZY_SANDBOX": "required", "REDIS_URL": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    # Then it exits with one line, and leaves nothing behind
    assert (ended.returncode, len(ended.stderr.splitlines())) == (78, 1)
    assert (
        "CLIPZY_SANDBOX=required is impossible here: the sandbox lacks network (no namespaces are left)" in ended.stderr
    )
    assert not list(tmp_path.iterdir())
