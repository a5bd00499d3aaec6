"""Recordings of a screen: pages of text and pictures that are scrolled, typed into and moved about."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from tests.support.media import camera_moves
from tests.support.media.joined_films import FOOTAGE, SIZE, Pixels

_WORDS = (
    "build",
    "frame",
    "the",
    "of",
    "report",
    "value",
    "in",
    "window",
    "system",
    "a",
    "shot",
    "list",
    "and",
    "total",
)
_LINE = 16
_PAGE_HEIGHT = 2400

Does = Callable[[float], float]


@dataclass(frozen=True)
class Screen:
    """One page, so many frames; by seconds, ``scroll`` gives the first row and ``typed`` the letters."""

    seed: int
    frames: int
    rate: float
    pictured: str = ""
    is_dark: bool = False
    scroll: Does = lambda _seconds: 0.0
    typed: Does = lambda _seconds: 0.0
    popup: Does = lambda _seconds: 0.0

    def pictures(self) -> list[Pixels]:
        page, dice = self._page(), random.Random(self.seed)
        text = " ".join(dice.choice(_WORDS) for _ in range(400))
        return [self._seen(page, text, place / self.rate) for place in range(self.frames)]

    @property
    def _colours(self) -> tuple[int, int]:
        return (30, 220) if self.is_dark else (248, 25)

    def _page(self) -> Pixels:
        dice = random.Random(self.seed)
        paper, ink = self._colours
        page = np.full((_PAGE_HEIGHT, SIZE[0], 3), paper, np.uint8)
        left = dice.choice((20, 60, 140))
        for y in range(20, _PAGE_HEIGHT, _LINE):
            if dice.random() < 0.8:
                words = " ".join(dice.choice(_WORDS) for _ in range(dice.randint(2, 11)))
                scale = dice.choice((0.4, 0.4, 0.4, 0.6))
                cv2.putText(page, words, (left, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (ink,) * 3, 1, cv2.LINE_AA)
        if self.pictured:
            still = camera_moves.still(FOOTAGE / f"{self.pictured}.jpg")
            for y in range(dice.randint(0, 200), _PAGE_HEIGHT - 300, 500):
                width = dice.randint(160, 300)
                small = cv2.resize(still, (width, width * 9 // 16), interpolation=cv2.INTER_AREA)
                x = dice.randint(0, SIZE[0] - width)
                page[y : y + small.shape[0], x : x + width] = small
        return page

    def _seen(self, page: Pixels, text: str, seconds: float) -> Pixels:
        paper, ink = self._colours
        first = min(max(round(self.scroll(seconds)), 0), _PAGE_HEIGHT - SIZE[1])
        shown = page[first : first + SIZE[1]].copy()
        shown[:24] = (90, 60, 40) if self.seed % 2 else (200, 200, 205)
        cv2.putText(shown, f"file  edit  view  {self.seed}", (8, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (ink,) * 3, 1)
        letters = round(self.typed(seconds))
        for line in range(0, letters, 60):
            y = 200 + line // 60 * _LINE
            shown[y - 12 : y + 4, 40:600] = paper
            part = text[line : min(letters, line + 60)]
            cv2.putText(shown, part, (44, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (ink,) * 3, 1, cv2.LINE_AA)
        if self.popup(seconds) > 0:
            shown[110:250, 180:460] = 225
            cv2.putText(shown, "Save changes?", (240, 180), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (40, 40, 40), 1)
        x, y = round(320 + 200 * np.sin(seconds * 1.3 + self.seed)), round(190 + 120 * np.cos(seconds * 0.9))
        cv2.fillPoly(shown, [np.array([(x, y), (x + 10, y + 10), (x, y + 14)])], (0, 0, 0))
        return shown


def smooth(pixels_per_second: float) -> Does:
    return lambda seconds: pixels_per_second * seconds


def paged(every_seconds: float, rows: float) -> Does:
    """A page key now and then."""
    return lambda seconds: rows * int(seconds / every_seconds)


def flicked(every_seconds: float, rows: float) -> Does:
    """A finger that throws the page: quick at first, then slower."""

    def first(seconds: float) -> float:
        times, rest = divmod(seconds, every_seconds)
        return rows * float(times + 1 - np.exp(-6 * rest))

    return first


def from_second(at: float) -> Does:
    return lambda seconds: float(seconds >= at)
