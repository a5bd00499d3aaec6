"""What `make` sets up a fresh checkout from."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["base.txt", "demo.txt", "dev.txt"])
def test_every_locked_package_has_hashes_and_no_address(name: str) -> None:
    lock = (ROOT / "requirements" / name).read_text()
    packages = re.split(r"\n(?=[a-z])", lock)[1:]
    assert len(packages) > 20
    assert all(re.match(r"[a-z0-9-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", package, re.DOTALL) for package in packages)
    assert not re.search(r"://|file:|--index|--find-links", lock)


def test_the_smaller_locks_are_part_of_the_larger_ones() -> None:
    base, demo, dev = (_pins(name) for name in ("base.txt", "demo.txt", "dev.txt"))
    assert base < demo < dev


def _pins(name: str) -> set[str]:
    return set(re.findall(r"^[a-z0-9-]+==\S+", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
