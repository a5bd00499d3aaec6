"""Frame rates as exact fractions, and timecodes: frame numbers as editing programs write them (SMPTE 12M)."""

import re
from dataclasses import dataclass
from fractions import Fraction

_NTSC = Fraction(1000, 1001)
_TOLERANCE_RATIO = 1e-4
_MAX_DENOMINATOR = 1001
_DROP_RATES = (30 * _NTSC, 60 * _NTSC)
_MAX_TIMELINE_RATE = 60
_USUAL_RATES = tuple(sorted((*map(Fraction, (24, 25, 30, 50, 60)), 24 * _NTSC, 30 * _NTSC, 60 * _NTSC)))
_FORM = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})([:;])([0-9]{2})")
UNKNOWN_RATE = Fraction(25)
"""That of the timeline of a video whose rate is not known."""


def exact_rate(frames_per_second: float) -> Fraction:
    """The exact rate that a rounded one stands for: 23.976 is 24000/1001, and 25.0 is 25."""
    whole = Fraction(round(frames_per_second))
    ntsc = Fraction(round(frames_per_second / float(_NTSC))) * _NTSC
    for rate in (whole, ntsc):
        if rate and abs(float(rate) / frames_per_second - 1) < _TOLERANCE_RATIO:
            return rate
    return Fraction(frames_per_second).limit_denominator(_MAX_DENOMINATOR)


def timeline_rate(frames_per_second: float | None) -> Fraction:
    """The rate of a timeline for a video, one that timecodes and editing programs have: whole, or of the kind of 29.97,
    and at most 60.

    Of a faster video every second frame is counted, or every fourth; 12.5 has a timeline of 25. Another average, such
    as that of uneven frames, has the nearest usual rate.
    """
    if frames_per_second is None:
        return UNKNOWN_RATE
    rate = exact_rate(frames_per_second)
    while rate > _MAX_TIMELINE_RATE:
        rate /= 2
    for candidate in (rate, 2 * rate):
        if candidate.denominator == 1 or (candidate / _NTSC).denominator == 1:
            return candidate
    return min(_USUAL_RATES, key=lambda usual: abs(usual - rate))


@dataclass(frozen=True)
class Timecode:
    """How frames are numbered at a rate. ``is_drop`` leaves out numbers, never frames, so that timecode keeps up with
    the clock: the first two of each minute at 29.97 and the first four at 59.94, but for every tenth minute.

    Raises ``ValueError`` for drop frame at another rate, and where there is no room for the number of a frame.
    """

    rate: Fraction
    is_drop: bool = False

    def __post_init__(self) -> None:
        if self.is_drop and self.rate not in _DROP_RATES:
            raise ValueError(f"there is no drop frame at {float(self.rate):.3f} frames per second")
        if not 1 <= self.base <= 100:
            raise ValueError(f"there is no timecode at {float(self.rate):.3f} frames per second")

    @property
    def base(self) -> int:
        """How many frames are counted to a second: 30 at 29.97."""
        return round(self.rate)

    @property
    def frames_of_a_day(self) -> int:
        """After which the numbers begin anew."""
        return 144 * self._frames_of_ten_minutes

    def text(self, frame: int) -> str:
        """``HH:MM:SS:FF``, or ``HH:MM:SS;FF`` for drop frame, of any frame since 00:00:00:00."""
        number = self._number_of(frame % self.frames_of_a_day)
        seconds, frames = divmod(number, self.base)
        separator = ";" if self.is_drop else ":"
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{separator}{frames:02}"

    def frame(self, text: str) -> int:
        """The frame that has this timecode, from 0 within the day. Raises ``ValueError`` if none has."""
        match = _FORM.fullmatch(text)
        if match is None or (match[4] == ";") != self.is_drop:
            raise ValueError(f"{text[:20]!r} is no timecode {'with' if self.is_drop else 'without'} drop frame")
        hours, minutes, seconds, frames = map(int, match.group(1, 2, 3, 5))
        is_dropped = frames < self._dropped and seconds == 0 and minutes % 10 != 0
        if hours > 23 or minutes > 59 or seconds > 59 or frames >= self.base or is_dropped:
            raise ValueError(f"there is no timecode {text}")
        minutes += 60 * hours
        number = (60 * minutes + seconds) * self.base + frames
        return number - self._dropped * (minutes - minutes // 10)

    def _number_of(self, frame: int) -> int:
        """The same with the numbers that are left out."""
        tens, rest = divmod(frame, self._frames_of_ten_minutes)
        begun_minutes = max(0, rest - self._dropped) // (60 * self.base - self._dropped)
        return frame + self._dropped * (9 * tens + begun_minutes)

    @property
    def _dropped(self) -> int:
        """Numbers, of a minute that has some left out."""
        return self.base // 15 if self.is_drop else 0

    @property
    def _frames_of_ten_minutes(self) -> int:
        return 600 * self.base - 9 * self._dropped


def timecode_from(text: str, rate: Fraction) -> tuple[Timecode, int]:
    """The timecodes of a video whose first frame has this one, and the number of that frame. Raises ``ValueError``."""
    timecode = Timecode(rate, is_drop=";" in text)
    return timecode, timecode.frame(text)
