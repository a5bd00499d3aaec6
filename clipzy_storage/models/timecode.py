"""Frame rates as exact fractions."""

from fractions import Fraction

_NTSC = Fraction(1000, 1001)
_TOLERANCE_RATIO = 1e-4
_MAX_DENOMINATOR = 1001


def exact_rate(frames_per_second: float) -> Fraction:
    """The exact rate that a rounded one stands for: 23.976 is 24000/1001, and 25.0 is 25."""
    whole = Fraction(round(frames_per_second))
    ntsc = Fraction(round(frames_per_second / float(_NTSC))) * _NTSC
    for rate in (whole, ntsc):
        if rate and abs(float(rate) / frames_per_second - 1) < _TOLERANCE_RATIO:
            return rate
    return Fraction(frames_per_second).limit_denominator(_MAX_DENOMINATOR)
