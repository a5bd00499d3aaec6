"""Every name that others rely on is in the pages: settings, codes, events, stages, metrics.

Log events are compared with ``docs/operations.md`` by ``test_operations``, calls and options by ``test_api``.
"""

import re
from pathlib import Path

import pytest

from clipzy_api.problems import CODES
from clipzy_storage import failpoints
from clipzy_storage.config import settings
from clipzy_storage.models.records import Status
from clipzy_worker.stages import IMPORT, STAGES

ROOT = Path(__file__).parents[2]
PAGES = "\n".join(page.read_text() for page in sorted(ROOT.glob("docs/**/*.md")))
SOURCES = "\n".join(
    path.read_text() for package in ("api", "storage", "worker") for path in (ROOT / f"clipzy_{package}").rglob("*.py")
)

READ_BY_BOTO3 = re.findall(r"^#((?:AWS|BOTO)\w*)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
OTHER_VARIABLES = [failpoints.VARIABLE, *re.findall(r'os\.environ(?:\.get\(|\[)"([A-Z_]+)"', SOURCES)]
NOT_SET_BY_PEOPLE = {
    "LD_LIBRARY_PATH": "of the dynamic linker",
    "REMAP_SIGTERM": "set by the worker, for Celery",
    "HOME": "of every user",
}
JOB_EVENTS = re.findall(r'_message\(\w[^)]*, "(\w+)" if \w+ else "(\w+)"\)', SOURCES)
PACKAGES = ("clipzy_api", "clipzy_storage", "clipzy_worker")
METRICS = sorted({name for name in re.findall(r'"(clipzy_[a-z_]+)"', SOURCES) if name not in PACKAGES})
"""The names of metrics are the only other strings that begin so."""


def explained(name: str) -> bool:
    return re.search(rf"`{name}\b|\b{name}=", PAGES) is not None


@pytest.mark.parametrize("name", [*settings.names(), *READ_BY_BOTO3])
def test_every_setting_is_there(name: str) -> None:
    assert explained(name)


@pytest.mark.parametrize("name", sorted(set(OTHER_VARIABLES) - NOT_SET_BY_PEOPLE.keys()))
def test_every_other_variable_is_there(name: str) -> None:
    assert explained(name) or f"${name}" in PAGES


@pytest.mark.parametrize("name", [*CODES, *Status, *(stage.name for stage in STAGES), IMPORT])
def test_every_code_status_and_stage_is_there(name: str) -> None:
    assert explained(str(name))


def test_every_event_of_a_job_is_there() -> None:
    ((moved, unmoved),) = JOB_EVENTS
    for name in (moved, unmoved):
        assert f"- `{name}`: " in PAGES or f". `{name}`: " in PAGES


def test_every_metric_is_there() -> None:
    assert [name for name in METRICS if not explained(name)] == []
