"""docs/cli.md names every command, option and exit status, and what it shows is what happens."""

import os
import re
import sys
from pathlib import Path

import click
import pytest

from clipzy_api.cli import exit_statuses
from clipzy_api.cli.client_commands import COMMANDS
from clipzy_api.cli.video_files import SUFFIXES
from clipzy_storage.errors import ConfigurationError
from tests.support import console
from tests.support.deployment import Deployment
from tests.support.processes import environment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/cli.md").read_text()
STATUSES = [value for name, value in vars(exit_statuses).items() if name.isupper()]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_is_there_with_its_options(command: click.Command) -> None:
    assert re.search(rf"(`|clipzy ){command.name}\b", PAGE)
    options = [parameter.opts[-1] for parameter in command.params if isinstance(parameter, click.Option)]
    assert [option for option in options if option not in PAGE] == []


@pytest.mark.parametrize("status", [*STATUSES, ConfigurationError.EXIT_STATUS])
def test_every_exit_status_is_there(status: int) -> None:
    assert f"\n| {status} | " in PAGE


def test_the_names_of_videos_are_there() -> None:
    assert [suffix for suffix in SUFFIXES if f"`{suffix}`" not in PAGE] == []


def test_the_commands_do_what_is_shown(tmp_path: Path, redis_url: str) -> None:
    # Given the page's commands, each with the lines that it is said to print
    commands = console.commands_in(PAGE)
    (tmp_path / "demo").symlink_to(ROOT / "demo")

    # When they are run one after the other in one shell, against a front end with a worker
    with Deployment(tmp_path / "deployment", redis_url=redis_url) as stack:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = environment(CLIPZY_URL=stack.web().url) | {"PATH": path}
        stack.worker()
        printed, errors = console.run([command for command, _ in commands], tmp_path, env)

    # Then each prints those lines
    console.assert_printed(commands, printed)
    assert "Traceback" not in errors
    assert (tmp_path / "posters/poster.jpg").read_bytes() == (tmp_path / "holiday/poster.jpg").read_bytes()
