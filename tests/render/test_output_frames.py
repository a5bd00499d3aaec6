"""Which frame of the source is shown when, at a constant rate and at the source's own times."""

import random
from collections.abc import Iterable
from fractions import Fraction

import pytest

from clipzy_worker.decode.frame_index import FrameIndex
from clipzy_worker.render.output_frames import output_frames

FILM, PAL, NTSC = Fraction(24), Fraction(25), Fraction(30000, 1001)


def index_of(times: Iterable[float], *, end_seconds: float) -> FrameIndex:
    index = FrameIndex()
    for number, seconds in enumerate(times):
        index.add(seconds, number)
    index.finish(zero=Fraction(0), end_seconds=end_seconds)
    return index


def constant(rate: Fraction, count: int = 240, *, decimals: int = 9) -> FrameIndex:
    times = (round(float(number / rate), decimals) for number in range(count))
    return index_of(times, end_seconds=float(count / rate))


@pytest.mark.parametrize("decimals", [9, 3], ids=["exact", "milliseconds"])
@pytest.mark.parametrize("rate", [FILM, PAL, NTSC, Fraction(24000, 1001), Fraction(60)])
def test_a_source_of_the_rate_gives_each_frame_once(rate: Fraction, decimals: int) -> None:
    output = output_frames(constant(rate, decimals=decimals), range(17, 200), rate=rate)
    assert list(output) == [(17 + number, number) for number in range(183)]
    assert output.time_base == 1 / rate
    assert output.duration_seconds == 183 / rate


def test_the_jitter_of_a_camera_costs_no_frame() -> None:
    # Given frames up to 6 ms from their places
    chance = random.Random(5)
    times = [number / 30 + chance.uniform(-0.003, 0.003) for number in range(300)]
    index = index_of(times, end_seconds=10)
    # Then each is shown once at the rate that they have on average
    assert list(output_frames(index, range(300), rate=Fraction(30)).sources) == list(range(300))


@pytest.mark.parametrize("rate", [Fraction(30), FILM, Fraction(60), Fraction(10), Fraction(7, 3)])
def test_at_another_rate_each_frame_is_what_is_shown_at_its_time(rate: Fraction) -> None:
    # Given a section of a film of 25 frames a second
    start, output = 30, output_frames(constant(PAL), range(30, 130), rate=rate)
    # Then each frame is the last that has begun, and there are as many as fit into the section
    assert len(output) == round(4 * rate)
    for source, stamp in output:
        assert source == start + int(stamp / rate * 25)


def test_times_that_are_rounded_up_to_milliseconds_cost_no_frame() -> None:
    output = output_frames(constant(FILM, decimals=3), range(240), rate=2 * FILM)
    assert list(output.sources) == [number // 2 for number in range(480)]


def test_a_variable_rate_does_not_drift() -> None:
    # Given steps of 40 ms, then of 120 ms, and a last frame of 80 ms
    times = [number / 25 for number in range(25)] + [1 + number * 3 / 25 for number in range(25)]
    index = index_of(times, end_seconds=3.96)
    # When it is shown at 25 frames a second
    output = output_frames(index, range(50), rate=PAL)
    # Then slow frames are repeated, and it ends when the source does
    assert list(output.sources[24:29]) == [24, 25, 25, 25, 26]
    assert list(output.sources[-3:]) == [48, 49, 49]
    assert output.duration_seconds == Fraction(396, 100)


def test_a_section_ends_with_its_own_frames() -> None:
    # Given a long frame behind which the section ends
    index = index_of([0, 1, 2, 2.04, 2.08], end_seconds=2.12)
    assert set(output_frames(index, range(0, 2), rate=NTSC).sources) == {0, 1}


@pytest.mark.parametrize("seconds", [0.001, 0.04])
def test_a_section_has_a_frame_at_least(seconds: float) -> None:
    index = index_of([0.0, 0.5], end_seconds=0.5 + seconds)
    assert list(output_frames(index, range(1, 2), rate=PAL)) == [(1, 0)]


def test_the_last_frame_is_repeated_for_as_long_as_it_is_shown() -> None:
    index = index_of([0.0, 0.04, 0.08], end_seconds=0.2)
    assert list(output_frames(index, range(3), rate=PAL).sources) == [0, 1, 2, 2, 2]


def test_the_times_of_the_source_are_kept() -> None:
    # Given frames at uneven times
    index = index_of([0.0, 0.1, 0.15, 0.4, 0.41, 1.0], end_seconds=1.5)
    # When a section keeps them
    output = output_frames(index, range(1, 5), rate=None)
    # Then they count from its beginning in 1/90000 s, and the last one ends with the section
    assert list(output) == [(1, 0), (2, 4500), (3, 27000), (4, 27900)]
    assert (output.time_base, output.duration_of(3)) == (Fraction(1, 90_000), 53100)
    assert output.duration_seconds == Fraction(9, 10)
