"""Takes of everyday videos, joined by cuts, fades and dissolves, group by group."""

import random
from collections.abc import Callable, Iterator, Sequence

from tests.support.media import everyday_people as people
from tests.support.media import everyday_takes as takes
from tests.support.media.everyday_alone import in_hand, jolts, screen
from tests.support.media.everyday_material import Material
from tests.support.media.everyday_people import Interview
from tests.support.media.everyday_takes import Handheld
from tests.support.media.joined_films import SIZE, TAKES, Finish, Join, Piece, Take

_ACTED = ("bunny", "burrow", "cockatoo", "gaze", "rodents", "tree")  # the others show a place

Joined = tuple[str, Sequence[Take], list[Join], Finish]


def _filmed(material: Material, dice: random.Random, frames: int) -> Piece:
    name = dice.choice([name for name in material.filmed if TAKES[name] >= frames])
    return Piece(name, frames, dice.randint(0, TAKES[name] - frames))


def _row(material: Material, dice: random.Random, count: int, rate: float, seconds: Sequence[float]) -> list[Take]:
    """Takes in hand and filmed, no two of one place beside each other."""
    found: list[Take] = []
    before = ""
    while len(found) < count:
        lasts = dice.choice(seconds)
        frames = max(3, round(lasts * rate))
        is_filmed = dice.random() < 0.35 and any(TAKES[name] >= frames for name in material.filmed)
        one: Handheld | Piece
        one = _filmed(material, dice, frames) if is_filmed else in_hand(material, dice, seconds=lasts, rate=rate)
        if one.name != before:
            found.append(one)
            before = one.name
    return found


def _gradual(material: Material, dice: random.Random, rate: float, count: int) -> list[Join]:
    kinds = [("dissolve", 0), ("fade", 0), ("dissolve", 0), ("fade", 255)]
    found = []
    for place in range(count):
        kind, colour = kinds[place % len(kinds)]
        ramp = max(3, round(dice.choice(material.ramps_seconds) * rate / (2 if kind == "fade" else 1)))
        found.append(Join(kind, ramp, dice.choice((0, round(0.1 * rate))) if kind == "fade" else 0, colour))  # type: ignore[arg-type]
    return found


def _long_enough(joins: list[Join], rate: float) -> float:
    return (2 * max(join.ramp for join in joins) + 0.9 * rate) / rate


def _joined(material: Material) -> Iterator[Joined]:
    yield from _cuts(material)
    yield from _beside(material)
    yield from _transitions(material)
    yield from _fades(material)
    yield from _screens(material)


def _cuts(material: Material) -> Iterator[Joined]:
    dice = material.dice("cuts")
    for rate in material.rates[:1]:
        drawn = [in_hand(material, dice, seconds=2, rate=rate, jolts=jolts(dice, 2.0)) for _ in range(12)]
        befores = [None, *drawn[:-1]]
        pieces: list[Take] = [
            one for one, before in zip(drawn, befores, strict=True) if not before or one.name != before.name
        ]
        yield "cuts between jolts", pieces, [Join()] * (len(pieces) - 1), Finish(rate, 25)
    for rate in material.slow_rates:
        pieces = _row(material, dice, 12, rate, (1.0, 1.6, 2.2))
        yield f"cuts at {rate} a second", pieces, [Join()] * 11, Finish(rate, 25, dice.choice(material.small_sizes))
    for rate in material.fast_rates:
        pieces = _row(material, dice, 8, rate, (0.4, 0.7, 0.9))
        yield f"cuts at {rate} a second", pieces, [Join()] * 7, Finish(rate, 25)
    for repeats in material.repeats:
        rate = 24 / repeats
        pieces = _row(material, dice, 12, rate, (1.0, 1.5, 2.0))
        yield f"cuts, each picture {repeats} times", pieces, [Join()] * 11, Finish(rate, 25, repeats=repeats)
    for size in material.small_sizes:
        pieces = _row(material, dice, 12, material.rates[0], (0.6, 1.0, 1.8))
        yield f"cuts at {size[0]}x{size[1]}", pieces, [Join()] * 11, Finish(material.rates[0], 30, size)


def _beside(material: Material) -> Iterator[Joined]:
    dice = material.dice("beside")
    for side in ("left", "right", "top", "bottom"):
        pieces = _row(material, dice, 12, material.rates[1], (0.8, 1.4, 2.0))
        effect = takes.beside(dice.choice(material.stills), side)
        yield f"cuts in the {side} half", pieces, [Join()] * 11, Finish(material.rates[1], 24, effect=effect)


def _transitions(material: Material) -> Iterator[Joined]:
    dice = material.dice("transitions")
    finishes = [Finish(rate, 25) for rate in (material.rates[0], material.fast_rates[0])]
    finishes += [Finish(material.rates[-1], 28, size) for size in material.small_sizes]
    finishes += [Finish(12, 25, repeats=2), Finish(material.slow_rates[-1], 25)]
    for finish in finishes:
        joins = _gradual(material, dice, finish.rate, 8)
        pieces = _row(material, dice, 9, finish.rate, (_long_enough(joins, finish.rate),))
        told = f"{finish.rate} a second, {finish.size[0]}x{finish.size[1]}, {finish.repeats}"
        yield f"fades and dissolves, {told}", pieces, joins, finish


def _fades(material: Material) -> Iterator[Joined]:
    dice = material.dice("fades")
    rate = material.rates[0]
    ways = {
        "through colours": [
            Join("fade", round(s * rate / 2), 2, colour) for s in (0.6, 1.2) for colour in material.colours
        ],
        "overexposed": [Join("fade", round(s * rate / 2), 2, 255, "overexposed") for s in material.ramps_seconds],
        "crossed, white": [Join("fade", round(s * rate), 0, 255, "crossed") for s in material.ramps_seconds],
        "crossed, black": [Join("fade", round(s * rate), 0, 0, "crossed") for s in material.ramps_seconds],
        "quick, white": [Join("fade", ramp, hold, 255) for ramp in (3, 4, 6) for hold in (0, 3)],
    }
    for told, joins in ways.items():
        pieces = _row(material, dice, len(joins) + 1, rate, (_long_enough(joins, rate),))
        yield f"fades {told}", pieces, joins, Finish(rate, 25)


def _screens(material: Material) -> Iterator[Joined]:
    dice = material.dice("screens")
    for size in material.screen_sizes:
        for rate in material.screen_rates[-2:]:
            joins = [*_gradual(material, dice, rate, 4), Join(), Join()]
            pieces = [screen(material, dice, _long_enough(joins, rate), rate) for _ in range(7)]
            yield f"screens, {size[0]}x{size[1]}, {rate} a second", pieces, joins, Finish(rate, 26, size)


def _jump_cuts(material: Material) -> Iterator[Joined]:
    """Before a camera on a tripod and in a hand, near and far, in small, and of filmed takes."""
    dice = material.dice("jump cuts")
    looks = [(sway, SIZE) for sway in (0.0, 0.004, 0.012, 0.025)] + [(0.008, size) for size in material.small_sizes[:2]]
    for sway, size in looks:
        place, person = dice.sample(material.stills, 2)
        take = Interview(place, person, people.drawn_posture(dice), 1, material.rates[0], dice.randrange(10**6), sway)
        pieces = people.jumps(take, dice, [dice.uniform(0.6, 2.0) for _ in range(9)])
        yield f"jump cuts, {place}, {size[0]}x{size[1]}, {sway}", pieces, [Join()] * 8, Finish(take.rate, 25, size)
    for name in (name for name in material.filmed if name in _ACTED):
        shortest = min(24, TAKES[name] // 4)
        filmed = people.filmed_jumps(name, dice, [dice.randint(shortest // 2, shortest) for _ in range(9)])
        if len(filmed) > 1:
            yield f"jump cuts, {name}", filmed, [Join()] * (len(filmed) - 1), Finish(24, 25)


GROUPS: dict[str, Callable[[Material], Iterator[Joined]]] = {
    "cuts": _cuts,
    "beside": _beside,
    "transitions": _transitions,
    "fades": _fades,
    "screens": _screens,
    "jump cuts": _jump_cuts,
}
