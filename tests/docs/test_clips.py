"""docs/clips.md: its commands do what is shown, and it names the fields of clips."""

from pathlib import Path

import pytest

from clipzy_storage.models.clips import Clip, Render
from tests.support import console
from tests.support.deployment import Deployment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/clips.md").read_text()
FIELDS = PAGE[PAGE.index("## What `output.json` says") :]


@pytest.mark.parametrize("field", [*Clip.model_fields, *Render.model_fields])
def test_every_field_is_there(field: str) -> None:
    assert f"`{field}`" in FIELDS


def test_the_commands_do_what_is_shown(tmp_path: Path, redis_url: str) -> None:
    # Given the page's commands, each with the lines that it is said to print
    commands = console.commands_in(PAGE)
    (tmp_path / "demo").symlink_to(ROOT / "demo")

    # When they are run in one shell, against a front end with a worker
    with Deployment(tmp_path / "deployment", redis_url=redis_url) as stack:
        url = stack.web().url
        stack.worker()
        printed, errors = console.run(
            [command.replace("http://127.0.0.1:8000", url) for command, _ in commands], tmp_path
        )

    # Then each prints those lines, and the clip is an MP4 file
    assert errors == ""
    console.assert_printed(commands, printed)
    assert (tmp_path / "clip.mp4").read_bytes()[4:8] == b"ftyp"
