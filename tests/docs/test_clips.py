"""docs/clips.md: its commands do what is shown, and it names the fields of clips."""

from pathlib import Path

import pytest

from clipzy_storage.models.clips import Clip, Render
from tests.docs.against_a_worker import check_commands

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/clips.md").read_text()
FIELDS = PAGE[PAGE.index("## What `output.json` says") :]


@pytest.mark.parametrize("field", [*Clip.model_fields, *Render.model_fields])
def test_every_field_is_there(field: str) -> None:
    assert f"`{field}`" in FIELDS


def test_the_commands_do_what_is_shown(tmp_path: Path, redis_url: str) -> None:
    check_commands(PAGE, tmp_path, redis_url)
    assert (tmp_path / "clip.mp4").read_bytes()[4:8] == b"ftyp"
