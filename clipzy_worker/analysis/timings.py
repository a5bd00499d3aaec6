"""Adds up how long each part of the work takes."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class StageTimer:
    """``spent`` has seconds of wall clock by name. Threads may share it, each with names of its own."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def charged(self, name: str) -> Iterator[None]:
        """Charge the block's time to ``name``."""
        started_at = time.perf_counter()
        try:
            yield
        finally:
            self.spent[name] += time.perf_counter() - started_at

    def lap(self, name: str, since: float) -> float:
        """Charge the time since then, by ``time.perf_counter``, to ``name``; returns the time now.

        For steps of every frame, where a context manager costs as much as some of them.
        """
        now = time.perf_counter()
        self.spent[name] += now - since
        return now

    def rounded(self) -> dict[str, float]:
        """``spent`` to the millisecond, as ``output.json`` shows it."""
        return {name: round(seconds, 3) for name, seconds in self.spent.items()}
