"""Single takes of everyday videos, as they are drawn from a material: in none of them is a boundary."""

import random
from collections.abc import Callable, Sequence

from tests.support.media import everyday_takes as takes
from tests.support.media import screen_recordings as screens
from tests.support.media.everyday_material import Material
from tests.support.media.everyday_takes import Drive, Handheld, Jolt, Ramp
from tests.support.media.joined_films import TAKES, Effect, Finish, Piece, Take
from tests.support.media.screen_recordings import Screen


def jolts(dice: random.Random, seconds: float, *, returns: bool | None = None) -> list[Jolt]:
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


def in_hand(
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


def _withjolts(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    take = in_hand(material, dice, jolts=jolts(dice, 4.0))
    return take, Finish(take.rate, dice.choice((20, 26, 32)))


def _tilt(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    speed = dice.choice((-1, 1)) * dice.uniform(0.2, 0.45)
    jolt = Jolt(1.5, dice.uniform(-0.1, 0.1), speed, dice.uniform(-5, 5), dice.uniform(0.02, 0.1), returns=False)
    take = in_hand(material, dice, down=speed, jolts=[jolt])
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
    take = in_hand(material, dice, across=dice.uniform(-0.4, 0.4), effects=effects)
    return take, Finish(take.rate, 24)


def _passed_by(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    effects = [takes.passed(dice.choice(material.stills), 40, dice.randint(8, 40), width=dice.uniform(0.3, 0.8))]
    take = in_hand(material, dice, effects=effects)
    return take, Finish(take.rate, 24)


def _repeated(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    """Each picture is shown several times, as slow connections and animation do."""
    rate = dice.choice(material.rates)
    every = dice.choice(material.repeats)
    speed = dice.choice((-1, 1)) * dice.uniform(0.1, 0.5)
    take = in_hand(material, dice, rate=rate, across=speed, effects=[takes.held(every)])
    return take, Finish(rate, 24)


def _repeated_film(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    name = dice.choice(material.filmed)
    return Piece(name, TAKES[name]), Finish(24 / dice.choice((1, 2)), 26, repeats=dice.choice(material.repeats))


def _slow(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    rate = dice.choice(material.slow_rates)
    take = in_hand(material, dice, rate=rate, seconds=8, across=dice.uniform(-0.2, 0.2), jolts=jolts(dice, 8.0)[:3])
    return take, Finish(rate, 26, dice.choice(material.small_sizes))


def _quick(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    rate = dice.choice(material.fast_rates)
    take = in_hand(material, dice, rate=rate, seconds=2, jolts=jolts(dice, 2.0))
    return take, Finish(rate, 28)


def _small_and_noisy(material: Material, dice: random.Random) -> tuple[Take, Finish]:
    effects = [takes.noisy(dice.uniform(4, 10))]
    take = in_hand(material, dice, jolts=jolts(dice, 4.0), effects=effects)
    return take, Finish(take.rate, 34, dice.choice(material.small_sizes))


def screen(material: Material, dice: random.Random, seconds: float = 6.0, rate: float = 0) -> Screen:
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
    take = screen(material, dice)
    return take, Finish(take.rate, dice.choice((23, 32)), dice.choice(material.screen_sizes))


Draw = Callable[[Material, random.Random], tuple[Take, Finish]]
SINGLE: dict[str, Draw] = {
    "jolts": _withjolts,
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
