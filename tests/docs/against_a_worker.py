"""Runs the commands of a page of the documents against a front end with a worker."""

from pathlib import Path

from tests.support import console
from tests.support.deployment import Deployment

ROOT = Path(__file__).parents[2]


def check_commands(page: str, directory: Path, redis_url: str) -> None:
    """All of them in one shell in ``directory``: each prints the lines that it is said to print, and nothing fails."""
    commands = console.commands_in(page)
    (directory / "demo").symlink_to(ROOT / "demo")
    with Deployment(directory / "deployment", redis_url=redis_url) as stack:
        url = stack.web().url
        stack.worker()
        scripts = [command.replace("http://127.0.0.1:8000", url) for command, _ in commands]
        printed, errors = console.run(scripts, directory)
    assert errors == ""
    console.assert_printed(commands, printed)
