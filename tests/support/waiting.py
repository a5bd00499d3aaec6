"""Waiting for a condition, instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

TIMEOUT_SECONDS = 90.0
POLL_SECONDS = 0.02

T = TypeVar("T")


def eventually(ask: Callable[[], T], what: str = "", *, seconds: float = TIMEOUT_SECONDS) -> T:
    """The first true answer of ``ask``. Raises ``AssertionError``, which names ``what``, after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what or 'a condition'}"
        time.sleep(POLL_SECONDS)
    return answer
