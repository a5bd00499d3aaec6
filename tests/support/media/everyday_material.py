"""What an everyday set is made of, and what is drawn from it."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Material:
    name: str
    seed: int
    stills: tuple[str, ...]
    filmed: tuple[str, ...]
    rates: tuple[float, ...]  # of phones and cars
    slow_rates: tuple[float, ...]
    fast_rates: tuple[float, ...]
    screen_rates: tuple[float, ...]
    small_sizes: tuple[tuple[int, int], ...]
    screen_sizes: tuple[tuple[int, int], ...]
    colours: tuple[tuple[int, int, int], ...]
    ramps_seconds: tuple[float, ...]
    repeats: tuple[int, ...]
    takes_of_each: int = 6

    def dice(self, kind: str) -> random.Random:
        """Of their own for each kind, so that a new kind leaves the others as they are."""
        return random.Random(f"{self.seed} {kind}")
