"""docs/licences.md says of the installed packages what they say themselves."""

import importlib.metadata
import re
from pathlib import Path

import pytest

from tests.support import console

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/licences.md").read_text()


def test_the_commands_print_what_is_shown() -> None:
    commands = console.commands_in(PAGE)

    printed, errors = console.run([command for command, _ in commands], ROOT)

    assert errors == ""
    console.assert_printed(commands, printed)


@pytest.mark.parametrize("package", ["av", "imageio-ffmpeg", "opencv-python-headless"])
def test_the_versions_are_the_installed_ones(package: str) -> None:
    assert f"`{package}` {importlib.metadata.version(package)}" in PAGE


def test_no_other_package_has_a_licence_of_the_gpl() -> None:
    # Given all packages that an image has
    names = re.findall(r"^([\w-]+)==", (ROOT / "requirements/base.txt").read_text(), re.MULTILINE)
    installed = {one.metadata["Name"].lower(): one.metadata for one in importlib.metadata.distributions()}
    found = [installed[name] for name in names if name in installed]
    assert len(found) > 40

    # Then none says that it is under the GPL, as those do not either that hold parts which are
    texts = [f"{one['Name']}: {one['License-Expression']} {one.get_all('Classifier')}" for one in found]
    assert [text for text in texts if re.search(r"\bL?GPL|General Public", text)] == []
