"""All formats name the same frames, by what other people's programs read in them."""

from fractions import Fraction
from itertools import pairwise

import pytest

from clipzy_api.exports import Document, FormatName, Of, exported
from tests.exports import readers
from tests.exports.documents import CLIPS, RATES, SHOTS, document, output, read
from tests.exports.readers import Clock, expected

STARTS = ("00:00:00:00", "01:00:00:00", "18:03:22:05", "23:59:50:00")
"""The last one is that of a recording that goes on into the next day."""
SECTIONS: dict[Of, list[tuple[int, int]]] = {"shots": list(pairwise(SHOTS)), "clips": list(CLIPS)}


def content(source: Document, name: FormatName, of: Of = "shots") -> bytes:
    return exported(source, name, of).content


def recording(rate_name: str, start: str) -> tuple[Document, Clock]:
    rate, is_drop = RATES[rate_name]
    separator = ";" if is_drop else ":"
    timecode = f"{start[:-3]}{separator}{start[-2:]}"
    clock = Clock(rate, readers.frame_of(timecode, rate), readers.frame_of(f"01:00:00{separator}00", rate))
    return document(rate, timecode=timecode), clock


@pytest.mark.parametrize("of", ["shots", "clips"])
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("rate_name", RATES)
def test_all_formats_name_the_same_frames(rate_name: str, start: str, of: Of) -> None:
    # Given a recording whose shots and clips have known frames
    source, clock = recording(rate_name, start)
    wanted = expected(SECTIONS[of])

    # When it is exported and read back, Then the frames are the same
    assert readers.from_otio(content(source, "otio", of), clock) == wanted
    assert readers.from_otio(content(source, "otio", of), clock, kind="Audio") == wanted
    assert readers.edl_by_pycmx(content(source, "edl", of), clock) == wanted
    assert readers.from_otio(content(source, "fcp7", of), clock, adapter="fcp_xml") == wanted
    assert readers.from_fcpxml(content(source, "fcpxml", of), clock) == wanted
    assert readers.from_csv(content(source, "csv", of), clock) == wanted
    if clock.rate.denominator == 1:  # others it rounds
        assert readers.fcpxml_by_otio(content(source, "fcpxml", of), clock) == wanted
    if not start.startswith("23"):  # at midnight it takes the end of an event to lie before its beginning
        assert readers.edl_by_otio(content(source, "edl", of), clock) == wanted


def test_timecode_of_the_file_is_in_every_format() -> None:
    # Given a recording from 18:03:22;05 on
    source, _ = recording("29.97 DF", "18:03:22:05")
    timecode = "18:03:22;05"

    # Then all of them begin there, and the timeline at one hour
    assert f"C        {timecode} 18:03:22;06 01:00:00;00 01:00:00;01\n" in content(source, "edl").decode()
    assert f"<string>{timecode}</string>" in content(source, "fcp7").decode()
    assert f",{timecode},18:03:22;06,holiday.mp4\r\n" in content(source, "csv").decode()
    assert 'tcFormat="DF"' in content(source, "fcpxml").decode()


def test_a_file_whose_first_frame_is_shown_late_is_counted_from_that_frame() -> None:
    # Given a video whose sound begins half a second before its picture
    shots = (0, 30, 75)
    source = document(Fraction(25), shots=shots, clips=[(10, 40)], first_frame_seconds=0.5)

    # Then its first frame is number 0 everywhere
    wanted: dict[Of, list[tuple[int, int]]] = {"shots": list(pairwise(shots)), "clips": [(10, 40)]}
    for of, sections in wanted.items():
        clock = Clock(Fraction(25), 0, 90_000)
        assert readers.from_otio(content(source, "otio", of), clock) == expected(sections)
        assert readers.edl_by_pycmx(content(source, "edl", of), clock) == expected(sections)


def test_sound_that_ends_within_the_last_frame_adds_none() -> None:
    # Given sound that is 30 ms longer than the picture, of which a frame lasts 40
    source = document(Fraction(25), shots=(0, 50), clips=[], duration_seconds=2.03)
    longer = source.model_copy(update={"shots": [source.shots[0].model_copy(update={"end_seconds": 2.03})]})

    assert readers.from_otio(content(longer, "otio"), Clock(Fraction(25))) == [(0, 50, 0)]


@pytest.mark.parametrize(
    ("frame_rate", "rate", "is_nominal"),
    [(25.0, "25", False), (29.83, "29.97 NDF", True), (120.0, "60", True), (12.5, "25", True), (None, "25", True)],
)
def test_a_rate_that_no_timeline_has_is_a_nominal_one_and_said_so(
    frame_rate: float | None, rate: str, is_nominal: bool
) -> None:
    # Given a video whose frames come at such a rate, with a cut after four seconds
    result = output(RATES[rate][0], shots=(0, 100, 200), clips=[])
    seconds = [round(float(frame / RATES[rate][0]), 6) for frame in (0, 100, 200)]
    assert [shot["start_seconds"] for shot in result["shots"]] == seconds[:2]
    result["source"]["frame_rate"] = frame_rate

    # When it is exported, Then the cut lies where it is by time
    clock = Clock(RATES[rate][0], 0, readers.frame_of("01:00:00:00", RATES[rate][0]))
    assert readers.from_otio(content(read(result), "otio"), clock) == [(0, 100, 0), (100, 200, 100)]
    assert readers.edl_by_otio(content(read(result), "edl"), clock) == [(0, 100, 0), (100, 200, 100)]
    assert readers.from_fcpxml(content(read(result), "fcpxml"), clock) == [(0, 100, 0), (100, 200, 100)]
    # And the file says that the frames are not those of the video
    for name in ("otio", "edl", "fcpxml", "fcp7"):
        assert (b"timing" in content(read(result), name)) == is_nominal


def test_frames_that_are_shown_unevenly_are_found_by_a_clip() -> None:
    # Given a video of 25 frames per second on average, one clip of which has fewer frames than its duration
    result = output(shots=(0, 100), clips=[(10, 60)])
    result["clips"][0]["end_frame"] = 40

    assert b"timing" in content(read(result), "otio", "clips")


@pytest.mark.parametrize("timecode", ["25:00:00:00", "00:00:00:25", "00:01:00;00", "later", ""])
def test_a_timecode_that_the_video_cannot_have_counts_as_none(timecode: str) -> None:
    source = document(Fraction(25), timecode=timecode)

    assert readers.from_otio(content(source, "otio"), Clock(Fraction(25))) == expected(SECTIONS["shots"])
