"""How stored frames are displayed: pixel aspect ratio, mirroring, quarter turns, and the size that follows. Pure."""

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from clipzy_worker.analysers.base import reduced_size

_MATRIX = struct.Struct("=9i")
# Sizes that differ by so little have the same shape: encoders round them to whole blocks.
_SAME_SHAPE_RATIO = 0.01


@dataclass(frozen=True)
class Orientation:
    """A frame is mirrored left to right if ``is_mirrored``, then turned by quarters counter-clockwise."""

    quarter_turns: int = 0
    is_mirrored: bool = False


UPRIGHT = Orientation()


def orientation_of(matrix: bytes) -> Orientation:
    """The orientation that a display matrix asks for: nine numbers of 32 bits, as FFmpeg has them.

    Other angles are rounded to the nearest quarter turn, and those half-way between two keep the shape of the frame.
    A degenerate matrix, which would show nothing but a line or a point, means none.
    """
    if len(matrix) < _MATRIX.size:
        return UPRIGHT
    a, b, _, c, d, *_ = _MATRIX.unpack_from(matrix)  # a point is moved to (ax + cy, bx + dy); y grows downwards
    determinant = a * d - b * c
    if determinant == 0:
        return UPRIGHT
    sign = -1 if determinant < 0 else 1  # a mirrored frame is turned the other way
    clockwise = math.atan2(sign * b / math.hypot(b, d), sign * a / math.hypot(a, c))
    return Orientation(round(-clockwise / (math.pi / 2)) % 4, determinant < 0)


@dataclass(frozen=True)
class Geometry:
    """How stored frames are displayed: pixel aspect ratio first, then the orientation."""

    stored_width: int
    stored_height: int
    pixel_aspect: Fraction
    orientation: Orientation = UPRIGHT

    @property
    def is_turned(self) -> bool:
        """Whether width and height are exchanged."""
        return self.orientation.quarter_turns % 2 == 1

    @cached_property
    def shown_size(self) -> tuple[int, int]:
        """Width and height as displayed."""
        width, height = max(1, round(self.stored_width * self.pixel_aspect)), self.stored_height
        return (height, width) if self.is_turned else (width, height)

    def reduced(self, pixels: int) -> tuple[int, int]:
        """The displayed size, reduced to about this many pixels; never enlarged."""
        return reduced_size(*self.shown_size, pixels=pixels)

    def fitted(self, *, width: int | None = None, side: int | None = None) -> tuple[int, int]:
        """The displayed size, reduced to this width or to this longer side; never enlarged."""
        shown = self.shown_size
        scale = Fraction(width, shown[0]) if width else Fraction(side or max(shown), max(shown))
        scale = min(scale, Fraction(1))
        return max(1, round(shown[0] * scale)), max(1, round(shown[1] * scale))

    def within(self, size: tuple[int, int]) -> tuple[int, int]:
        """The largest size of this shape inside ``size``; it is ``size`` if only rounding makes a difference."""
        shown = self.shown_size
        scale = min(Fraction(size[0], shown[0]), Fraction(size[1], shown[1]))
        inside = max(1, round(shown[0] * scale)), max(1, round(shown[1] * scale))
        bars = zip(size, inside, strict=True)
        is_same = all(whole - part <= max(1, _SAME_SHAPE_RATIO * whole) for whole, part in bars)
        return size if is_same else inside
