"""Frame numbers as timecode and back, against the closed form of SMPTE 12M and other people's code."""

from fractions import Fraction

import numpy as np
import opentimelineio as otio
import pytest
from numpy.typing import NDArray

from clipzy_storage.models.timecode import Timecode, exact_rate, timecode_from, timeline_rate

NTSC = Fraction(1000, 1001)
DROP_30, DROP_60 = Timecode(30 * NTSC, is_drop=True), Timecode(60 * NTSC, is_drop=True)
FRAMES_OF_A_DAY = 2_589_408


def numbers_of_a_day(base: int) -> NDArray[np.int64]:
    """The number that every frame of a day shows, drop frame: all but those that are left out, in order."""
    numbers = np.arange(24 * 3600 * base)
    minutes, rest = np.divmod(numbers, 60 * base)
    is_left_out = (minutes % 10 != 0) & (rest < base // 15)
    kept: NDArray[np.int64] = numbers[~is_left_out]
    return kept


def text_of(number: int, base: int) -> str:
    seconds, frames = divmod(int(number), base)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02};{frames:02}"


@pytest.mark.parametrize(("timecode", "base"), [(DROP_30, 30), (DROP_60, 60)], ids=["29.97", "59.94"])
def test_drop_frame_leaves_out_numbers_of_each_minute_but_the_tenth(timecode: Timecode, base: int) -> None:
    # Given all numbers of a day
    numbers = numbers_of_a_day(base)
    assert timecode.frames_of_a_day == len(numbers) == FRAMES_OF_A_DAY * base // 30

    # Then those around every minute are the frames' own, both ways, and so are some between them
    jumps = np.flatnonzero(np.diff(numbers) > 1)
    chosen = {
        *range(5),
        *(int(frame) + step for frame in jumps for step in (-1, 0, 1, 2)),
        *range(0, len(numbers), 9973),
    }
    for frame in chosen:
        text = text_of(numbers[frame], base)
        assert (timecode.text(frame), timecode.frame(text)) == (text, frame)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("timecode", "base"), [(DROP_30, 30), (DROP_60, 60)], ids=["29.97", "59.94"])
def test_every_frame_of_a_day_has_its_number(timecode: Timecode, base: int) -> None:
    for frame, number in enumerate(numbers_of_a_day(base).tolist()):
        text = text_of(number, base)
        assert (timecode.text(frame), timecode.frame(text)) == (text, frame)


@pytest.mark.parametrize("is_drop", [False, True])
@pytest.mark.parametrize(
    "rate",
    [24 * NTSC, Fraction(24), Fraction(25), 30 * NTSC, Fraction(30), Fraction(50), 60 * NTSC, Fraction(60)],
    ids=float,
)
def test_other_programs_number_the_same(rate: Fraction, is_drop: bool) -> None:
    if is_drop and rate not in (30 * NTSC, 60 * NTSC):
        with pytest.raises(ValueError, match="there is no drop frame at"):
            Timecode(rate, is_drop=True)
        return
    timecode = Timecode(rate, is_drop=is_drop)

    day = min(timecode.frames_of_a_day, int(86_400 * rate))  # after which the other begins anew, whatever the number
    for frame in range(0, day, 7919):
        time = otio.opentime.RationalTime(frame, float(rate))
        text = otio.opentime.to_timecode(time, float(rate), is_drop)
        assert (timecode.text(frame), timecode.frame(text)) == (text, frame)


def test_numbers_begin_anew_after_a_day() -> None:
    for timecode in (DROP_30, DROP_60, Timecode(Fraction(25)), Timecode(24 * NTSC)):
        last = timecode.text(timecode.frames_of_a_day - 1)
        assert last == f"23:59:59{';' if timecode.is_drop else ':'}{timecode.base - 1:02}"
        assert timecode.text(timecode.frames_of_a_day) == timecode.text(0)
        assert timecode.text(-1) == last


@pytest.mark.parametrize(
    "text",
    [
        *("24:00:00;00", "00:60:00;00", "00:00:60;00", "00:00:00;30", "00:01:00;00", "00:01:00;01", "00:11:00;00"),
        *("00:00:00:00", "0:00:00;00", "00:00:00;0", "00:00:00;00 ", "٠٠:00:00;00", "-1:00:00;00", ""),
    ],
)
def test_what_no_frame_has_is_no_timecode(text: str) -> None:
    with pytest.raises(ValueError, match="timecode"):
        DROP_30.frame(text)


def test_the_sign_before_the_frames_says_whether_it_is_drop_frame() -> None:
    assert timecode_from("00:10:00;00", 30 * NTSC) == (DROP_30, 17_982)
    assert timecode_from("00:10:00:00", 30 * NTSC) == (Timecode(30 * NTSC), 18_000)
    with pytest.raises(ValueError, match="there is no drop frame at 25"):
        timecode_from("00:10:00;00", Fraction(25))


@pytest.mark.parametrize(
    ("frames_per_second", "rate"),
    [
        (23.976024, 24 * NTSC),
        (29.97, 30 * NTSC),
        (25.0, Fraction(25)),
        (59.94006, 60 * NTSC),
        (12.0, Fraction(12)),
        (12.5, Fraction(25)),
        (120.0, Fraction(60)),
        (119.88012, 60 * NTSC),
        (240.0, Fraction(60)),
        (29.83, 30 * NTSC),
        (24.7, Fraction(25)),
        (0.04, 24 * NTSC),
        (None, Fraction(25)),
    ],
)
def test_a_timeline_has_a_rate_that_editing_programs_have(frames_per_second: float | None, rate: Fraction) -> None:
    assert timeline_rate(frames_per_second) == rate
    assert Timecode(rate).base == round(rate)


def test_a_rate_with_its_decimals_cut_off_is_exact_again() -> None:
    for base in (24, 30, 60, 120):
        assert exact_rate(round(float(base * NTSC), 3)) == base * NTSC
        assert exact_rate(float(base)) == base
    assert exact_rate(12.5) == Fraction(25, 2)
