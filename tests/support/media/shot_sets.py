"""The videos on which shots are measured: sets of joins of real video, and of scenes without any boundary."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.media import joined_films
from tests.support.media.joined_films import PHOTOGRAPHS, TAKES, Camera, Effect, Film, Join, Piece

Make = Callable[[Path], Film]

_MOVING = ("tree", "gaze", "cockatoo", "meadow", "bunny")
_ALIKE = ("lawn", "tree", "picnic", "gaze", "rodents")  # one place, one light, one palette
_BLACK, _WHITE = 0, 255


@dataclass(frozen=True)
class Scatter:
    """Pieces drawn at random, always the same for a seed; no two neighbours are of one take."""

    seed: int
    pieces: int
    shortest: int = 14
    longest: int = 60
    names: tuple[str, ...] = (*TAKES, *PHOTOGRAPHS)
    effect: Effect | None = None
    cameras: tuple[Camera, ...] = ("still", "pan", "shake", "zoom")

    def draw(self) -> list[Piece]:
        dice = random.Random(self.seed)
        found: list[Piece] = []
        while len(found) < self.pieces:
            name = dice.choice(self.names)
            if found and found[-1].name == name:
                continue
            frames = min(dice.randint(self.shortest, self.longest), TAKES.get(name, 999))
            first = dice.randint(0, TAKES[name] - frames) if name in TAKES else 0
            camera = dice.choice(self.cameras)
            found.append(Piece(name, frames, first, camera, self.effect))
        return found


def cuts(scatter: Scatter, *, rate: float = joined_films.RATE, crf: int = 23) -> Make:
    return lambda directory: joined_films.film(
        directory / f"cuts-{scatter.seed}-{rate}-{crf}.mp4", scatter.draw(), Join(), rate=rate, crf=crf
    )


def gradual(seed: int, joined: list[Join], *, crf: int = 23, effect: Effect | None = None) -> Make:
    """Pieces long enough that every join has half a second of each scene beside it."""

    def make(directory: Path) -> Film:
        longest = max(join.ramp for join in joined)
        names = tuple(name for name, frames in TAKES.items() if frames >= 2 * longest + 24) + PHOTOGRAPHS
        frames = 2 * longest + 24
        scatter = Scatter(seed, len(joined) + 1, frames, frames + 24, names, effect)
        return joined_films.film(directory / f"gradual-{seed}-{crf}.mp4", scatter.draw(), joined, crf=crf)

    return make


def alone(name: str, piece: Piece) -> Make:
    """A video of one piece: nothing in it is a boundary."""
    return lambda directory: joined_films.film(directory / f"alone-{name}.mp4", [piece], [])


def _fades(colour: int) -> list[Join]:
    ramps = ((6, 0), (8, 2), (12, 4), (18, 0), (24, 6), (30, 12), (10, 1), (16, 8), (36, 2), (20, 3))
    return [Join("fade", ramp, hold, colour) for ramp, hold in ramps]


_DISSOLVES = [Join("dissolve", ramp) for ramp in (10, 12, 14, 18, 20, 24, 30, 36, 42, 48, 16, 26)]

CUTS: dict[str, Make] = {
    "cuts": cuts(Scatter(1, 50)),
    "more cuts": cuts(Scatter(2, 50)),
    "cuts within one place": cuts(Scatter(3, 40, names=_ALIKE)),
    "cuts amid motion": cuts(Scatter(4, 40, names=(*_MOVING, *PHOTOGRAPHS), cameras=("pan", "whip", "zoom"))),
    "cuts in the dark": cuts(Scatter(5, 40, effect=joined_films.dimmed(0.25))),
    "cuts without colour": cuts(Scatter(6, 40, effect=joined_films.grey)),
    "short shots": cuts(Scatter(7, 50, shortest=8, longest=14)),
    "cuts at a low bitrate": cuts(Scatter(8, 50), crf=40),
    "cuts drawn anew": cuts(Scatter(101, 30)),
    "cuts at 60 a second": cuts(Scatter(9, 40, shortest=20), rate=60),
    "cuts at 10 a second": cuts(Scatter(10, 40, shortest=6, longest=24), rate=10),
}
FADES: dict[str, Make] = {
    "fades through black": gradual(21, _fades(_BLACK)),
    "fades through white": gradual(22, _fades(_WHITE)),
    "more fades": gradual(23, _fades(_BLACK)[::-1] + _fades(_WHITE)[::2]),
    "fades at a low bitrate": gradual(24, _fades(_BLACK), crf=40),
    "fades drawn anew": gradual(121, _fades(_BLACK)[::2] + _fades(_WHITE)[1::2]),
    "fades in the dark": gradual(25, _fades(_BLACK), effect=joined_films.dimmed(0.35)),
}
DISSOLVES: dict[str, Make] = {
    "dissolves": gradual(31, _DISSOLVES),
    "more dissolves": gradual(32, _DISSOLVES[::-1]),
    "yet more dissolves": gradual(33, _DISSOLVES),
    "dissolves without colour": gradual(34, _DISSOLVES, effect=joined_films.grey),
    "dissolves at a low bitrate": gradual(35, _DISSOLVES, crf=40),
    "dissolves drawn anew": gradual(131, _DISSOLVES),
    "dissolves drawn anew, coded poorly": gradual(132, _DISSOLVES[::-1], crf=34),
}
MIXED: dict[str, Make] = {
    "all kinds": gradual(
        41, [one for pair in zip(_fades(_BLACK)[:8], _DISSOLVES[:8], strict=True) for one in (*pair, Join())]
    ),
    "a few of all kinds": gradual(
        42,
        [Join(), Join("fade", 8, 2), Join("dissolve", 14), Join("dissolve", 16), Join("fade", 12, 1, _WHITE)],
    ),
}
_CAMERAS: tuple[Camera, ...] = ("pan", "whip", "shake", "zoom")
_NO_BOUNDARY: dict[str, Piece] = {
    **{f"take {name}": Piece(name, frames) for name, frames in TAKES.items()},
    **{f"{camera} over {name}": Piece(name, 72, camera=camera) for camera in _CAMERAS for name in PHOTOGRAPHS},
    **{
        f"flash of {frames} over {name}": Piece(name, 60, effect=joined_films.flash(30, frames))
        for frames in (1, 2, 3, 5)
        for name in ("bird", "cockatoo", "burrow", "china", "bunny")
    },
    **{
        f"title within {ramp} over {name}": Piece(name, 72, effect=joined_films.titled(30, ramp))
        for ramp in (1, 12, 24)
        for name in ("stream", "cockatoo", "bunny", "astronaut")
    },
    **{
        f"light {gain} within {ramp} over {name}": Piece(name, 72, effect=joined_films.lit(30, ramp, gain=gain))
        for ramp in (1, 12, 36)
        for gain in (0.5, 1.6)
        for name in ("stream", "cockatoo", "bunny", "coffee")
    },
}
NONE: dict[str, Make] = {name: alone(name.replace(" ", "-"), piece) for name, piece in _NO_BOUNDARY.items()}
ALL = CUTS | FADES | DISSOLVES | MIXED | NONE
