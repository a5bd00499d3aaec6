"""docs/client.md names every method and error of the client, and its examples are run."""

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import clipzy_api.client
from clipzy_api.client import Client, ClipzyError
from clipzy_api.client.errors import TRANSIENT_STATUSES
from clipzy_api.client.outages import OUTAGE_SECONDS
from clipzy_api.client.transport import MAX_PAUSE_SECONDS, UPLOAD_ANSWER_TIMEOUT_SECONDS
from clipzy_api.client.uploads.memory import KEPT_SECONDS
from clipzy_api.client.uploads.method import STALLED_SECONDS, Method
from clipzy_api.client.uploads.parts import PARALLEL_PARTS
from clipzy_api.client.uploads.uploader import FORM_BYTES
from tests.support.deployment import Deployment
from tests.support.processes import environment
from tests.support.video_server import File, running_video_server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/client.md").read_text()
METHODS = [name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")]
ERRORS = [
    name for name, kind in vars(clipzy_api.client).items() if inspect.isclass(kind) and issubclass(kind, ClipzyError)
]
NOT_SHOWN = {"close", "job", "result_document"}
"""Methods that need no example."""


@pytest.mark.parametrize("name", sorted(set(METHODS) - NOT_SHOWN))
def test_every_method_is_there(name: str) -> None:
    assert f"client.{name}(" in PAGE


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_is_there(name: str) -> None:
    assert f"| `{name}` |" in PAGE


def test_the_limits_are_there() -> None:
    text = " ".join(PAGE.split())
    defaults = inspect.signature(Client).parameters
    assert f"up to {defaults['attempts'].default} times (`attempts`)" in text
    assert f"`timeout_seconds` ({defaults['timeout_seconds'].default})" in text
    assert f"more than {MAX_PAUSE_SECONDS:.0f} s" in text
    assert f"may take {UPLOAD_ANSWER_TIMEOUT_SECONDS:.0f} s" in text
    assert all(str(status) in text for status in TRANSIENT_STATUSES)
    assert (STALLED_SECONDS, "progress at least every ten minutes" in text) == (600, True)
    assert (PARALLEL_PARTS, "eight parts at a time" in text) == (8, True)
    assert f"files under {FORM_BYTES >> 20} MiB" in text
    assert f"at most for {KEPT_SECONDS / 86400:.0f} days" in text
    assert all(f'`"{method}"`' in text for method in get_args(Method))
    assert (OUTAGE_SECONDS, "two minutes without a front end" in text) == (120, True)


def test_the_examples_do_what_is_shown(tmp_path: Path, redis_url: str) -> None:
    # Given the page's blocks, with what their comments say that they print
    program = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    expected = re.findall(r"print\(.*\)  # (.*)", program)
    (tmp_path / "demo").symlink_to(ROOT / "demo")

    # When they are run as one program, against a front end with a worker, and a web server that has a video
    settings = {"ALLOW_URL_IMPORT": "true", "ALLOW_PRIVATE_ADDRESSES": "127.0.0.1/32"}
    with (
        running_video_server() as videos,
        Deployment(tmp_path / "deployment", redis_url=redis_url, **settings) as stack,
    ):
        videos.pages["/holiday.mp4"] = File((ROOT / "demo/demo.mp4").read_bytes())
        program = program.replace("https://videos.example.com/holiday.mp4", videos.url("/holiday.mp4"))
        program = program.replace("http://127.0.0.1:8000", stack.web().url)
        stack.worker()
        ended = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=100,
        )

    # Then they print that, in this order
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = iter(ended.stdout.splitlines())
    assert [line for line in expected if line not in lines] == []
    assert (tmp_path / "holiday/output.json").exists()
