"""What a test does where this machine lacks something: skip with a word at home, fail in CI."""

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """End the test, since ``what`` is not to be had here."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}: CI must have it")
    pytest.skip(what)
