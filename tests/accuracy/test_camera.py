"""The camera's movement, direction and speed where they are known: moves over photographs and real video."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.analysis.conftest import Analyse
from tests.support.media import camera_moves
from tests.support.media.camera_moves import Film, pan, shake, steady, still, tilt, write, zoom

FOOTAGE = Path(__file__).parents[1] / "footage"
DEMO = Path(__file__).parents[2] / "demo" / "demo.mp4"

STILLS: dict[str, tuple[Path, float]] = {
    "china": (FOOTAGE / "china.jpg", 0.0),
    "coffee": (FOOTAGE / "coffee.jpg", 0.0),
    "flower": (FOOTAGE / "flower.jpg", 0.0),
    "astronaut": (FOOTAGE / "astronaut.jpg", 0.0),
    "rocket": (FOOTAGE / "rocket.jpg", 0.0),
    "meadow": (FOOTAGE / "meadow.mp4", 6.0),
    "bird": (FOOTAGE / "bird.mp4", 1.0),
    "stream": (FOOTAGE / "stream.mp4", 1.0),
    "fractal": (DEMO, 9.0),
}


@dataclass(frozen=True)
class Case:
    """A video and what is true of its camera; speed in percent a second, held to within 10 % of itself."""

    film: Film
    movement: str
    direction: str | None = None
    speed: float = 0.0

    def found_in(self, camera: dict[str, Any] | None) -> bool:
        if camera is None or (camera["movement"], camera["direction"]) != (self.movement, self.direction):
            return False
        return abs(float(camera["speed_percent_per_second"]) - self.speed) <= 0.1 * self.speed


HARD = Film(steady(), passer=True, noise_levels=5, crf=28)
SLOWER_LATER = tuple(x / 100 for x in (*range(0, 100, 4), *range(100, 200, 10)))

QUICK = {
    "a slow pan": ("astronaut", Case(Film(pan(2)), "pan", "right", 2)),
    "a pan to the left": ("meadow", Case(Film(pan(-20), rate=60, duration_seconds=1.4), "pan", "left", 20)),
    "a quick pan": ("china", Case(Film(pan(100), rate=24), "pan", "right", 100)),
    "a tilt up": ("bird", Case(Film(tilt(-8)), "tilt", "up", 8)),
    "a slow zoom": ("flower", Case(Film(zoom(3)), "zoom", "in", 3)),
    "a quick zoom out": ("stream", Case(Film(zoom(-40), rate=50, duration_seconds=1.5), "zoom", "out", 40)),
    "a pan, made hard": ("coffee", Case(replace(HARD, pose=pan(20)), "pan", "right", 20)),
    "a static camera, made hard": ("china", Case(HARD, "static")),
    "a camera held by hand": ("fractal", Case(Film(shake(1.0)), "handheld")),
}

PLAIN = {
    **{f"pan {v}": Case(Film(pan(v)), "pan", "right", v) for v in (1, 2, 5, 12, 30, 60, 120)},
    "pan to the left": Case(Film(pan(-20)), "pan", "left", 20),
    **{f"tilt {v}": Case(Film(tilt(v)), "tilt", "down", v) for v in (1.5, 10, 40)},
    **{f"tilt up {v}": Case(Film(tilt(-v)), "tilt", "up", v) for v in (4, 90)},
    **{f"zoom {v}": Case(Film(zoom(v)), "zoom", "in", v) for v in (2, 10, 30)},
    **{f"zoom out {v}": Case(Film(zoom(-v)), "zoom", "out", v) for v in (5, 60)},
    "static": Case(Film(steady()), "static"),
    **{f"shake {v}": Case(Film(shake(v)), "handheld") for v in (0.4, 1.0, 2.5)},
    "pan, shaken": Case(Film(shake(0.7, pan_percent_per_second=25)), "pan", "right", 25),
}
RATES = {
    **{f"pan at {rate}": Case(Film(pan(15), rate=rate), "pan", "right", 15) for rate in (12, 24, 50, 60, 120)},
    **{f"zoom at {rate}": Case(Film(zoom(8), rate=rate), "zoom", "in", 8) for rate in (24, 50, 60)},
    "shake at 60": Case(Film(shake(1.0), rate=60), "handheld"),
    "pan, variable rate": Case(Film(pan(15), times=SLOWER_LATER), "pan", "right", 15),
}
MADE_HARD = {
    **{f"pan {v}, hard": Case(replace(HARD, pose=pan(v)), "pan", "right", v) for v in (3, 20, 60)},
    "tilt up, hard": Case(replace(HARD, pose=tilt(-10)), "tilt", "up", 10),
    **{f"zoom {v}, hard": Case(replace(HARD, pose=zoom(v)), "zoom", "in", v) for v in (4, 15)},
    "static, something passes": Case(Film(steady(), passer=True), "static"),
    "static, noise": Case(Film(steady(), noise_levels=10, crf=28), "static"),
    "static, hard": Case(HARD, "static"),
    "shake, hard": Case(replace(HARD, pose=shake(1.0)), "handheld"),
}
OVER = ("china", "rocket", "meadow", "fractal")
# Where something as detailed as the whole still passes before flat ground, what is background cannot be told.
DETAILED = ("china", "coffee", "flower", "meadow")


@pytest.mark.parametrize("name", QUICK)
def test_says_what_the_camera_does(name: str, tmp_path: Path, analyse: Analyse) -> None:
    # Given a video of a camera whose every pose is known
    still_name, case = QUICK[name]
    path = write(tmp_path / "film.mp4", still(*STILLS[still_name]), case.film)

    # When it is analysed
    (shot,) = analyse(path)["shots"]

    # Then movement and direction are right, and the speed to a tenth
    assert case.found_in(shot["motion"]["camera"]), shot["motion"]


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [*PLAIN, *RATES, *MADE_HARD])
def test_says_what_the_camera_does_whatever_it_sees(name: str, tmp_path: Path, analyse: Analyse) -> None:
    # Given the same move over very different frames
    case = (PLAIN | RATES | MADE_HARD)[name]
    over = DETAILED if name in MADE_HARD else OVER
    films = {each: write(tmp_path / f"{each}.mp4", still(*STILLS[each]), case.film) for each in over}

    # When each is analysed
    found = {each: analyse(path)["shots"][0]["motion"]["camera"] for each, path in films.items()}

    # Then all are right
    wrong = {each: camera for each, camera in found.items() if not case.found_in(camera)}
    assert not wrong


TAKES = {
    "meadow": ("tilt", "down"),
    "stream": ("static", None),
    "bird": ("static", None),
    "hole": ("zoom", "in"),
    "lawn": ("static", None),
    "picnic": ("static", None),
    "tree": ("static", None),
    "gaze": ("static", None),
    "cockatoo": ("handheld", None),
}


@pytest.mark.parametrize("name", ["hole", "lawn"])
def test_says_what_is_seen_in_a_real_take(name: str, analyse: Analyse) -> None:
    assert _seen_in(name, analyse) == TAKES[name]


@pytest.mark.long
@pytest.mark.parametrize("name", TAKES)
def test_says_what_is_seen_in_every_real_take(name: str, analyse: Analyse) -> None:
    assert _seen_in(name, analyse) == TAKES[name]


def _seen_in(name: str, analyse: Analyse) -> tuple[str, str | None]:
    (shot,) = analyse(FOOTAGE / f"{name}.mp4")["shots"]
    camera = shot["motion"]["camera"]
    return camera["movement"], camera["direction"]


@pytest.mark.parametrize(("colour", "noise_levels"), [((0, 0, 0), 0.0), ((90, 120, 140), 8.0)])
def test_says_nothing_where_nothing_can_be_followed(
    colour: tuple[int, int, int], noise_levels: float, tmp_path: Path, analyse: Analyse
) -> None:
    # Given a video that shows one colour, with or without noise
    flat = camera_moves.plain(colour)
    path = write(tmp_path / "flat.mp4", flat, Film(steady(), noise_levels=noise_levels, crf=28))

    # When it is analysed
    (shot,) = analyse(path)["shots"]

    # Then the camera is unknown, and next to nothing moves
    assert shot["motion"]["camera"] is None
    assert shot["motion"]["intensity"] < 10
