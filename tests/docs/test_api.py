"""docs/api.md names every call and every code, and what it shows is what happens."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipzy_api.problems import CODES
from clipzy_storage.models.job_config import MAX_CONFIG_BYTES, JobConfig
from tests.docs.against_a_worker import check_commands
from tests.support.openapi import routes_of, unconnected_app

CONFIG = JobConfig.model_json_schema()
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/api.md").read_text()


def test_every_call_is_there(tmp_path: Path) -> None:
    calls = [f"{method.upper()} {path}" for method, path in routes_of(unconnected_app(tmp_path))]

    assert [call for call in calls if f"`{call}`" not in PAGE] == []


@pytest.mark.parametrize("name", CODES)
def test_every_code_is_there_with_its_status(name: str) -> None:
    errors = PAGE[PAGE.index("## Errors\n") :]
    lines = [line for line in errors.splitlines() if f"| `{name}` |" in line]

    assert len(lines) == 1
    assert re.search(rf"\b{CODES[name].status}\b", lines[0])


def options_of(schema: dict[str, Any], path: str = "config") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every option by its path, but for those that only hold others."""
    for name, option in schema["properties"].items():
        below = [one["$ref"] for one in (option, *option.get("anyOf", [])) if one.get("$ref", "").endswith("Options")]
        for reference in below:
            yield from options_of(CONFIG["$defs"][reference.rpartition("/")[2]], f"{path}.{name}")
        if "$ref" not in option:
            yield f"{path}.{name}", option


OPTIONS = dict(options_of(CONFIG))


@pytest.mark.parametrize("path", OPTIONS)
def test_every_option_is_there_with_its_default_and_its_bounds(path: str) -> None:
    option = OPTIONS[path]
    lines = [line for line in PAGE.splitlines() if line.startswith(f"| `{path}` |")]

    assert len(lines) == 1
    assert f"`{json.dumps(option['default'])}`" in lines[0]
    for bound in ("minimum", "maximum"):
        assert bound not in option or f"`{option[bound]:g}`" in lines[0]
    for word in option.get("enum", []):
        assert f'`"{word}"`' in lines[0]


def test_the_longest_config_is_there() -> None:
    assert f"at most {MAX_CONFIG_BYTES >> 10} KiB" in PAGE


def test_the_commands_do_what_is_shown(tmp_path: Path, redis_url: str) -> None:
    check_commands(PAGE, tmp_path, redis_url)
    assert (tmp_path / "poster.jpg").read_bytes().startswith(b"\xff\xd8")
