"""`make release`: what it refuses, what the sdist has, and the whole of it."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.support.requirements import missing
from tests.support.wheels import ROOT, build_wheel

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
PACKAGES = ("clipzy_api", "clipzy_storage", "clipzy_worker", "systemd")
OTHERS = {".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
LOCKS = {f"requirements/{name}.txt" for name in ("base", "demo", "flower")}
NOT_COPIED = (".git", ".venv", ".demo", ".clipzy", ".*_cache", ".hypothesis", "__pycache__", "dist", "site", "storage")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clean checkout of what is here, with the environment of this one."""
    if shutil.which("git") is None:
        missing("git")
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT, copy, ignore=lambda path, names: ignored(Path(path), names), symlinks=True)
    git(copy, "init", "--quiet")
    (copy / ".venv").symlink_to(ROOT / ".venv")
    (copy / ".git/info/exclude").write_text(".venv\n")
    commit(copy)
    return copy


def ignored(directory: Path, names: list[str]) -> set[str]:
    found = shutil.ignore_patterns(*NOT_COPIED)(str(directory), names)
    return found if directory == ROOT else found & {"__pycache__"}


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True)


def commit(directory: Path) -> None:
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message", "A commit")


def release(checkout: Path) -> "subprocess.CompletedProcess[str]":
    make = ["make", "--silent", "--old-file=.venv/.dev", "release"]
    return subprocess.run(make, cwd=checkout, capture_output=True, text=True, timeout=800, check=False)


def assert_refused(checkout: Path, reason: str) -> None:
    done = release(checkout)
    assert done.returncode != 0
    assert f"release: {reason}" in done.stderr
    assert not (checkout / "dist").exists()


def test_changes_that_are_not_committed_are_refused(checkout: Path) -> None:
    (checkout / "clipzy_api/new.py").touch()
    assert_refused(checkout, "the checkout has changes that are not committed.")


@pytest.mark.parametrize(
    ("heading", "reason"),
    [
        ("## 0.0.1", f'CHANGELOG.md has no heading "## {VERSION}".'),
        (f"## Unreleased\n\n## {VERSION}", 'CHANGELOG.md has changes under "Unreleased".'),
    ],
)
def test_a_version_without_its_changes_is_refused(checkout: Path, heading: str, reason: str) -> None:
    changes = checkout / "CHANGELOG.md"
    changes.write_text(changes.read_text().replace(f"## {VERSION}", heading))
    commit(checkout)
    assert_refused(checkout, reason)


def test_the_sdist_has_what_is_needed_and_makes_the_same_wheel(tmp_path: Path) -> None:
    # Given the sdist, and the files of the checkout that belong into it
    hatchling = [str(Path(sys.executable).parent / "hatchling"), "build", "--directory"]
    subprocess.run([*hatchling, str(tmp_path), "--target", "sdist"], cwd=ROOT, check=True, capture_output=True)
    paths = [path for top in PACKAGES for path in (ROOT / top).rglob("*") if path.is_file()]
    expected = {str(path.relative_to(ROOT)) for path in paths if path.parent.name != "__pycache__"}

    # Then it has these and no others
    top = f"clipzy-{VERSION}"
    with tarfile.open(tmp_path / f"{top}.tar.gz") as archive:
        assert {name.removeprefix(f"{top}/") for name in archive.getnames()} == expected | OTHERS | LOCKS
        archive.extractall(tmp_path, filter="data")

    # And the wheel that it makes is the one that the checkout makes
    subprocess.run([*hatchling, "dist", "--target", "wheel"], cwd=tmp_path / top, check=True, capture_output=True)
    (from_sdist,) = (tmp_path / top / "dist").iterdir()
    assert from_sdist.read_bytes() == build_wheel(tmp_path / "wheel").read_bytes()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_release_is_built_and_checked(checkout: Path) -> None:
    """It downloads the locked packages."""
    done = release(checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    sums = (checkout / "dist/SHA256SUMS").read_text()
    assert re.findall(r"\S+$", sums, re.MULTILINE) == [f"clipzy-{VERSION}-py3-none-any.whl", f"clipzy-{VERSION}.tar.gz"]
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    subprocess.run(check, cwd=checkout / "dist", check=True, capture_output=True)
    assert len(list((checkout / "dist").iterdir())) == 3
    git(checkout, "diff", "--exit-code")
