"""Two sets of everyday videos for shots: thresholds are tuned on one, and the other is only reported.

Both have the same kinds of takes; they share no still, no filmed take, no seed, and no parameter that is drawn.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.media import everyday_takes as takes
from tests.support.media import screen_recordings as screens
from tests.support.media.everyday_takes import Drive, Handheld, Jolt, Ramp
from tests.support.media.joined_films import TAKES, Effect, Film, Finish, Join, Piece, Take, finished_film
from tests.support.media.screen_recordings import Screen

Make = Callable[[Path], Film]


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
    takes_of_each: int


TUNED = Material(
    name="tuned",
    seed=1000,
    stills=("astronaut", "coffee", "chelsea", "rocket", "china", "flower", "fig", "seeds"),
    filmed=("lawn", "picnic", "gaze", "rodents", "hole", "bunny"),
    rates=(24, 30),
    slow_rates=(5, 10),
    fast_rates=(60, 240),
    screen_rates=(10, 30),
    small_sizes=((320, 240), (160, 120), (256, 144)),
    screen_sizes=((320, 240), (640, 480), (480, 270)),
    colours=((40, 30, 190), (150, 150, 150), (160, 90, 20)),
    ramps_seconds=(0.5, 0.8, 1.2, 2.0),
    repeats=(2, 3, 5),
    takes_of_each=6,
)
HELD_OUT = Material(
    name="held-out",
    seed=77000,
    stills=("mountain", "dogs", "brook", "peaks", "sunset", "brushes", "lounge", "raccoon"),
    filmed=("tree", "meadow", "stream", "bird", "burrow", "cockatoo"),
    rates=(25, 29.97),
    slow_rates=(6, 8, 12),
    fast_rates=(50, 120),
    screen_rates=(8, 15, 25),
    small_sizes=((176, 144), (240, 320), (320, 180)),
    screen_sizes=((320, 240), (400, 300), (854, 480)),
    colours=((60, 140, 30), (90, 90, 90), (200, 180, 230)),
    ramps_seconds=(0.6, 0.9, 1.5, 1.8),
    repeats=(2, 4, 6),
    takes_of_each=6,
)


def single_takes(material: Material) -> dict[str, Make]:
    """One scene each; nothing in them is a boundary."""
    found: dict[str, Make] = {}
    for kind, draw in _SINGLE.items():
        dice = random.Random(f"{material.seed} {kind}")
        for number in range(material.takes_of_each):
            take, finish = draw(material, dice)
            name = f"{material.name}, {kind}, {number}"
            found[name] = _maker(name, [take], [], finish)
    return found


def joined(material: Material) -> dict[str, Make]:
    """Takes like those, joined by cuts, fades and dissolves."""
    found: dict[str, Make] = {}
    for name, pieces, joins, finish in _joined(material):
        found[f"{material.name}, {name}"] = _maker(f"{material.name}, {name}", pieces, joins, finish)
    return found


def _maker(name: str, pieces: Sequence[Take], joins: list[Join], finish: Finish) -> Make:
    file_name = "".join(letter if letter.isalnum() else "-" for letter in name) + ".mp4"
    return lambda directory: finished_film(directory / file_name, pieces, joins, finish)


def _jolts(dice: random.Random, seconds: float, *, returns: bool | None = None) -> list[Jolt]:
    """One in every second or two, up to a third of the frame."""
    found, at = [], 0.5
    while at < seconds - 0.4:
        found.append(
            Jolt(
                at,
                dice.uniform(-0.3, 0.3),
                dice.uniform(-0.35, 0.35),
                dice.uniform(-8, 8),
                dice.uniform(0.02, 0.12),
                dice.random() < 0.6 if returns is None else returns,
            )
        )
        at += dice.uniform(0.7, 1.6)
    return found


def _in_hand(
    material: Material, dice: random.Random, *, seconds: float = 4.0, rate: float = 0, **more: object
) -> Handheld:
    rate = rate or dice.choice(material.rates)
    chosen: dict[str, object] = {
        "across": dice.uniform(-0.15, 0.15),
        "down": dice.uniform(-0.1, 0.1),
        "sway": dice.uniform(0.004, 0.03),
        "zoom": dice.uniform(-0.08, 0.08),
    }
    return Handheld(
        dice.choice(material.stills),
        round(seconds * rate),
        rate,
        dice.randrange(10**6),
        **(chosen | more),  # type: ignore[arg-type]
    )


def _with_jolts(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    take = _in_hand(material, dice, jolts=_jolts(dice, 4.0))
    return take, Finish(take.rate, dice.choice((20, 26, 32)))


def _tilt(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    speed = dice.choice((-1, 1)) * dice.uniform(0.2, 0.45)
    jolt = Jolt(1.5, dice.uniform(-0.1, 0.1), speed, dice.uniform(-5, 5), dice.uniform(0.02, 0.1), returns=False)
    take = _in_hand(material, dice, down=speed, jolts=[jolt])
    return take, Finish(take.rate, 24)


def _drive(material: Material, dice: random.Random, seconds: float = 8.0, effects: Sequence[Effect] = ()) -> Drive:
    names = dice.sample(material.stills, 4)
    rate = dice.choice(material.rates)
    speed, near = dice.uniform(0.15, 0.8), dice.choice((0, 4, 8))
    return Drive(names, round(seconds * rate), rate, dice.randrange(10**6), speed, near, effects)


def _driven(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    take = _drive(material, dice)
    return take, Finish(take.rate, dice.choice((23, 30)))


def _driven_behind_glass(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    effects: list[Effect] = [
        takes.reflected(dice.choice(material.stills), Ramp(50, 30, 60, 30), strength=dice.uniform(0.15, 0.4)),
        takes.exposed(Ramp(30, dice.randint(12, 40), 60, 25), gain=dice.choice((0.5, 1.7))),
        takes.refocused(Ramp(100, dice.randint(8, 25), 10, 15), sigma=dice.uniform(2, 5)),
    ]
    take = _drive(material, dice, effects=effects)
    return take, Finish(take.rate, 26)


def _lens(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    """Focus, exposure, glare and a reflection, one of them or two, while the camera pans."""
    ramp = Ramp(dice.randint(25, 40), dice.randint(4, 30), dice.randint(0, 15), dice.randint(4, 30))
    later = Ramp(dice.randint(35, 50), dice.randint(4, 30))
    effects = dice.sample(
        [
            takes.refocused(ramp, sigma=dice.uniform(2, 7)),
            takes.exposed(later, gain=dice.choice((0.4, 0.6, 1.8))),
            takes.glared(ramp),
            takes.reflected(dice.choice(material.stills), ramp, strength=dice.uniform(0.2, 0.5)),
        ],
        k=dice.choice((1, 2)),
    )
    take = _in_hand(material, dice, across=dice.uniform(-0.4, 0.4), effects=effects)
    return take, Finish(take.rate, 24)


def _passed_by(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    effects = [takes.passed(dice.choice(material.stills), 40, dice.randint(8, 40), width=dice.uniform(0.3, 0.8))]
    take = _in_hand(material, dice, effects=effects)
    return take, Finish(take.rate, 24)


def _repeated(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    """Each picture is shown several times, as slow connections and animation do."""
    rate = dice.choice(material.rates)
    every = dice.choice(material.repeats)
    speed = dice.choice((-1, 1)) * dice.uniform(0.1, 0.5)
    take = _in_hand(material, dice, rate=rate, across=speed, effects=[takes.held(every)])
    return take, Finish(rate, 24)


def _repeated_film(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    name = dice.choice(material.filmed)
    return Piece(name, TAKES[name]), Finish(24 / dice.choice((1, 2)), 26, repeats=dice.choice(material.repeats))


def _slow(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    rate = dice.choice(material.slow_rates)
    take = _in_hand(material, dice, rate=rate, seconds=8, across=dice.uniform(-0.2, 0.2), jolts=_jolts(dice, 8.0)[:3])
    return take, Finish(rate, 26, dice.choice(material.small_sizes))


def _quick(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    rate = dice.choice(material.fast_rates)
    take = _in_hand(material, dice, rate=rate, seconds=2, jolts=_jolts(dice, 2.0))
    return take, Finish(rate, 28)


def _small_and_noisy(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    effects = [takes.noisy(dice.uniform(4, 10))]
    take = _in_hand(material, dice, jolts=_jolts(dice, 4.0), effects=effects)
    return take, Finish(take.rate, 34, dice.choice(material.small_sizes))


def _screen(material: Material, dice: random.Random, seconds: float = 6.0, rate: float = 0) -> Screen:
    rate = rate or dice.choice(material.screen_rates)
    way = dice.randrange(5)
    scroll = (
        screens.smooth(0),
        screens.smooth(dice.uniform(20, 90)),
        screens.smooth(dice.uniform(150, 400)),
        screens.paged(dice.uniform(0.8, 1.6), dice.uniform(60, 200)),
        screens.flicked(dice.uniform(1, 2), 300),
    )[way]
    typed = screens.smooth(dice.uniform(8, 20)) if way == 0 else screens.smooth(0)
    popup = screens.from_second(seconds / 2) if dice.random() < 0.3 else screens.smooth(0)
    pictured = dice.choice(("", *material.stills))
    seed, is_dark = dice.randrange(1000), dice.random() < 0.3
    return Screen(seed, round(seconds * rate), rate, pictured, is_dark, scroll, typed, popup)


def _screen_alone(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    screen = _screen(material, dice)
    return screen, Finish(screen.rate, dice.choice((23, 32)), dice.choice(material.screen_sizes))


Draw = Callable[[Material, random.Random], tuple[Take, Finish]]
_SINGLE: dict[str, Draw] = {
    "jolts": _with_jolts,
    "a tilt with a jolt": _tilt,
    "a drive": _driven,
    "a drive behind glass": _driven_behind_glass,
    "focus, exposure, glare": _lens,
    "something passes": _passed_by,
    "repeated pictures": _repeated,
    "repeated pictures of a film": _repeated_film,
    "few pictures a second": _slow,
    "many pictures a second": _quick,
    "small and noisy": _small_and_noisy,
    "a screen": _screen_alone,
}


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
        one = _filmed(material, dice, frames) if is_filmed else _in_hand(material, dice, seconds=lasts, rate=rate)
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


Joined = tuple[str, Sequence[Take], list[Join], Finish]


def _joined(material: Material) -> Iterator[Joined]:
    yield from _cuts(material)
    yield from _beside(material)
    yield from _transitions(material)
    yield from _fades(material)
    yield from _screens(material)


def _cuts(material: Material) -> Iterator[Joined]:
    dice = random.Random(f"{material.seed} cuts")
    for rate in material.rates[:1]:
        drawn = [_in_hand(material, dice, seconds=2, rate=rate, jolts=_jolts(dice, 2.0)) for _ in range(12)]
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
    dice = random.Random(f"{material.seed} beside")
    for side in ("left", "right", "top", "bottom"):
        pieces = _row(material, dice, 12, material.rates[1], (0.8, 1.4, 2.0))
        effect = takes.beside(dice.choice(material.stills), side)
        yield f"cuts in the {side} half", pieces, [Join()] * 11, Finish(material.rates[1], 24, effect=effect)


def _transitions(material: Material) -> Iterator[Joined]:
    dice = random.Random(f"{material.seed} transitions")
    finishes = [Finish(rate, 25) for rate in (material.rates[0], material.fast_rates[0])]
    finishes += [Finish(material.rates[-1], 28, size) for size in material.small_sizes]
    finishes += [Finish(12, 25, repeats=2), Finish(material.slow_rates[-1], 25)]
    for finish in finishes:
        joins = _gradual(material, dice, finish.rate, 8)
        pieces = _row(material, dice, 9, finish.rate, (_long_enough(joins, finish.rate),))
        told = f"{finish.rate} a second, {finish.size[0]}x{finish.size[1]}, {finish.repeats}"
        yield f"fades and dissolves, {told}", pieces, joins, finish


def _fades(material: Material) -> Iterator[Joined]:
    dice = random.Random(f"{material.seed} fades")
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
    dice = random.Random(f"{material.seed} screens")
    for size in material.screen_sizes:
        for rate in material.screen_rates[-2:]:
            joins = [*_gradual(material, dice, rate, 4), Join(), Join()]
            pieces = [_screen(material, dice, _long_enough(joins, rate), rate) for _ in range(7)]
            yield f"screens, {size[0]}x{size[1]}, {rate} a second", pieces, joins, Finish(rate, 26, size)
