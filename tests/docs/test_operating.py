"""docs/operating.md and docs/index.md: their commands do what is shown, and their figures are the measured ones."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support import console
from tests.support.deployment import s3_settings
from tests.support.mount_namespaces import need_namespaces, unshare
from tests.support.processes import environment, free_port
from tests.support.s3_servers import S3Server

ROOT = Path(__file__).parents[2]
OPERATING, PERFORMANCE, START = (
    (ROOT / "docs" / name).read_text() for name in ("operating.md", "performance.md", "index.md")
)
BEFORE, _, REST = OPERATING.partition("### Credentials have expired\n")
CREDENTIALS, _, AFTER = REST.partition("\nWhen the drills are over:\n")
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def check(page: str, directory: Path, settings: Mapping[str, str] | None = None, *, within: Sequence[str] = ()) -> str:
    """Run the commands of a page and compare what they print; what they write to standard error."""
    commands = console.commands_in(page)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    (directory / "demo").symlink_to(ROOT / "demo")
    env = environment(CLIPZY_URL=url, **settings or {}) | {"PATH": PATH}
    scripts = [
        command.replace("clipzy up", f"clipzy up --port {port}").replace("http://127.0.0.1:8000", url)
        for command, _ in commands
    ]
    printed, errors = console.run(scripts, directory, env, within=within, timeout_seconds=250)
    console.assert_printed(commands, printed)
    return errors


def test_the_first_result_is_what_is_shown(tmp_path: Path) -> None:
    assert "Traceback" not in check(START, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_backup_and_drills_show_what_is_said(tmp_path: Path) -> None:
    need_namespaces()
    errors = check(BEFORE + AFTER, tmp_path, within=unshare())
    assert "Traceback" not in errors + (tmp_path / "up.log").read_text()
    assert (tmp_path / "backup/.clipzy/storage-id").exists()


def test_expired_credentials_show_what_is_said(tmp_path: Path, rclone_server: S3Server, redis_url: str) -> None:
    settings = {"REDIS_URL": redis_url, **s3_settings(rclone_server, rclone_server.new_bucket())}
    assert "Traceback" not in check(CREDENTIALS, tmp_path, settings)


def test_the_figures_are_measured_ones() -> None:
    section = OPERATING.partition("\n## Sizing\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    figures = [figure for row in rows for figure in re.findall(r"`([^`]+)`", row[2])]
    assert len(figures) > 5
    assert [figure for figure in figures if not re.search(rf"(?<!\d){re.escape(figure)}", PERFORMANCE)] == []
