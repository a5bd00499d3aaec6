"""The promise under short chaos: on local storage and on S3, half of the general faults each, with all losses of Redis.

``make chaos`` does the same for as long as one likes.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.nemesis import faults_for
from tests.chaos.run import Plan, run
from tests.chaos.table import table

GENERAL = sorted(faults_for("local", lose_redis=True))
ON_S3 = sorted(faults_for("s3", lose_redis=False).keys() - set(GENERAL))
ON_BOTH = ["worker SIGKILL", "worker SIGSTOP", "pool child SIGKILL"]
BY_CHANCE = {"media process SIGKILL"}  # on a slow machine none may be at work when its turn comes
SHORT = Plan("local", seconds=15, seed=7, pause_seconds=0.9, front_ends=1, workers=2, drain_seconds=100)
LOCAL = replace(SHORT, kinds=frozenset(GENERAL[::2] + ON_BOTH))
S3 = replace(SHORT, storage="s3", seed=11, kinds=frozenset(GENERAL[1::2] + ON_S3 + ON_BOTH))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("plan", [pytest.param(LOCAL, id="local"), pytest.param(S3, id="s3", marks=pytest.mark.long)])
def test_every_accepted_job_ends_once(plan: Plan, tmp_path: Path, clips_directory: Path) -> None:
    """Without the reaper jobs of killed workers are lost."""
    outcome = run(plan, tmp_path, clips_directory=clips_directory)
    print(table(outcome))  # noqa: T201 - with its seed; shown where it fails
    assert outcome.verdict.holds
    assert outcome.accepted >= 5
    assert plan.kinds - outcome.faults.keys() <= BY_CHANCE
