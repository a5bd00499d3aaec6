"""Sets of everyday videos for shots: thresholds are tuned on the first two, and the last is only reported.

All have the same kinds of takes; they share no still, no filmed take, no seed, and no parameter that is drawn.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.media.everyday_alone import SINGLE
from tests.support.media.everyday_joined import GROUPS
from tests.support.media.everyday_material import Material
from tests.support.media.joined_films import Film, Finish, Join, Take, finished_film

Make = Callable[[Path], Film]

TUNED = Material(
    name="tuned",
    seed=1000,
    stills=("astronaut", "coffee", "chelsea", "rocket", "china", "flower", "fig", "seeds"),
    filmed=("lawn", "picnic", "gaze", "bunny"),
    rates=(24, 30),
    slow_rates=(5, 10),
    fast_rates=(60, 240),
    screen_rates=(10, 30),
    small_sizes=((320, 240), (160, 120), (256, 144)),
    screen_sizes=((320, 240), (640, 480), (480, 270)),
    colours=((40, 30, 190), (150, 150, 150), (160, 90, 20)),
    ramps_seconds=(0.5, 0.8, 1.2, 2.0),
    repeats=(2, 3, 5),
)
TUNED_TOO = Material(
    name="tuned too",
    seed=77000,
    stills=("mountain", "dogs", "brook", "peaks", "sunset", "brushes", "lounge", "raccoon"),
    filmed=("tree", "meadow", "stream", "bird"),
    rates=(25, 29.97),
    slow_rates=(6, 8, 12),
    fast_rates=(50, 120),
    screen_rates=(8, 15, 25),
    small_sizes=((176, 144), (240, 320), (320, 180)),
    screen_sizes=((320, 240), (400, 300), (854, 480)),
    colours=((60, 140, 30), (90, 90, 90), (200, 180, 230)),
    ramps_seconds=(0.6, 0.9, 1.5, 1.8),
    repeats=(2, 4, 6),
)


HELD_OUT = Material(
    name="held-out",
    seed=31_000_000,
    stills=("vine", "nuthatch", "lamp", "bridge", "clock", "cameraman", "stairs", "coins"),
    filmed=("rodents", "hole", "burrow", "cockatoo"),
    rates=(23.976, 26),
    slow_rates=(7, 9, 11),
    fast_rates=(48, 100),
    screen_rates=(12, 20),
    small_sizes=((192, 144), (180, 320), (352, 240)),
    screen_sizes=((320, 200), (360, 270), (800, 500)),
    colours=((20, 60, 120), (120, 120, 120), (220, 200, 120)),
    ramps_seconds=(0.55, 1.0, 1.4, 1.7),
    repeats=(3, 4, 5),
)


def single_takes(material: Material) -> dict[str, Make]:
    """One scene each; nothing in them is a boundary."""
    found: dict[str, Make] = {}
    for kind, draw in SINGLE.items():
        dice = material.dice(kind)
        for number in range(material.takes_of_each):
            take, finish = draw(material, dice)
            name = f"{material.name}, {kind}, {number}"
            found[name] = _maker(name, [take], [], finish)
    return found


def joined(material: Material, group: str) -> dict[str, Make]:
    """Takes like those, joined by cuts, fades and dissolves."""
    return {
        f"{material.name}, {name}": _maker(f"{material.name}, {name}", pieces, joins, finish)
        for name, pieces, joins, finish in GROUPS[group](material)
    }


def _maker(name: str, pieces: Sequence[Take], joins: list[Join], finish: Finish) -> Make:
    file_name = "".join(letter if letter.isalnum() else "-" for letter in name) + ".mp4"
    return lambda directory: finished_film(directory / file_name, pieces, joins, finish)
