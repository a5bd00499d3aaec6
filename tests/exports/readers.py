"""What other people's programs read in an export: for each section its frames in the file and in the timeline."""

import csv
import io
import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Any
from xml.etree import ElementTree

import opentimelineio as otio
import pycmx

Frames = list[tuple[int, int, int]]
"""Of each section: first frame in the file and the one after the last, from 0; and its first frame in the timeline."""


@dataclass(frozen=True)
class Clock:
    """The frames of the file and of the timeline, each at its first timecode."""

    rate: Fraction
    source_start: int = 0
    record_start: int = 0


def expected(sections: list[tuple[int, int]]) -> Frames:
    records = accumulate((end - start for start, end in sections), initial=0)
    return [(start, end, record) for (start, end), record in zip(sections, records, strict=False)]


def from_otio(content: bytes, clock: Clock, *, adapter: str = "otio_json", kind: str = "Video") -> Frames:
    timeline: Any = otio.adapters.read_from_string(content.decode(), adapter)
    return frames_of(_timeline_in(timeline), clock, kind=kind)


def _timeline_in(found: Any) -> Any:
    """Of a collection, in which an adapter may put it."""
    if isinstance(found, otio.schema.Timeline):
        return found
    return next(iter(found.find_children(descended_from_type=otio.schema.Timeline)))


def frames_of(timeline: Any, clock: Clock, *, kind: str = "Video") -> Frames:
    track = next(track for track in timeline.tracks if track.kind == kind)
    frames = []
    for clip in track.find_clips():
        source, record = clip.source_range, track.range_of_child(clip)
        assert round(Fraction(source.start_time.rate).limit_denominator(1001), 3) == round(clock.rate, 3)
        start = source.start_time.value - clock.source_start
        frames.append((start, start + source.duration.value, record.start_time.value))
        assert source.duration == record.duration
    return [(round(start), round(end), round(record)) for start, end, record in frames]


def edl_by_otio(content: bytes, clock: Clock) -> Frames:
    timeline = otio.adapters.read_from_string(content.decode(), "cmx_3600", rate=float(clock.rate))
    return frames_of(timeline, clock)


def edl_by_pycmx(content: bytes, clock: Clock) -> Frames:
    """Timecodes begin anew after a day."""
    edl = pycmx.parse_cmx3600(io.StringIO(content.decode()))
    frames: Frames = []
    for event in edl.events:
        edit = event.edits[-1]
        texts = (edit.source_in, edit.source_out, edit.record_in, edit.record_out)
        start, end, record, record_end = (frame_of(text, clock.rate) for text in texts)
        day = frame_of(f"23:59:59{edit.source_in[8]}{round(clock.rate) - 1:02}", clock.rate) + 1
        first, length = (start - clock.source_start) % day, (end - start) % day
        assert length == record_end - record
        frames.append((first, first + length, record - clock.record_start))
    return frames


def frame_of(timecode: str, rate: Fraction) -> int:
    frame: float = otio.opentime.from_timecode(timecode, float(rate)).value
    return round(frame)


def from_fcpxml(content: bytes, clock: Clock) -> Frames:
    """Whether all times are whole frames, all references known and nothing has a hole, and the sections."""
    root = ElementTree.fromstring(content)
    assert root.get("version") == "1.10"

    def frames(element: ElementTree.Element, name: str) -> int:
        match = re.fullmatch(r"(\d+)(?:/(\d+))?s", element.get(name, ""))
        assert match is not None
        found = Fraction(int(match[1]), int(match[2] or 1)) * clock.rate
        assert found.denominator == 1
        return found.numerator

    ids = {element.get("id") for element in root.iter() if element.get("id")}
    assert {element.get("ref") for element in root.iter() if element.get("ref")} <= ids
    assert {element.get("format") for element in root.iter() if element.get("format")} <= ids
    sequence, asset = root.find(".//sequence"), root.find(".//asset")
    assert sequence is not None
    assert asset is not None
    start, place = frames(asset, "start"), frames(sequence, "tcStart")
    assert (start, place) == (clock.source_start, clock.record_start)
    sections: Frames = []
    for clip in sequence.iter("asset-clip"):
        length = frames(clip, "duration")
        first = frames(clip, "start") - start
        assert frames(clip, "offset") == place
        assert 0 <= first <= first + length <= frames(asset, "duration")
        sections.append((first, first + length, place - clock.record_start))
        place += length
    assert frames(sequence, "duration") == place - clock.record_start
    return sections


def fcpxml_by_otio(content: bytes, clock: Clock) -> Frames:
    """At whole rates. The adapter takes the timecode of the timeline for a hole before it."""
    sections = from_otio(content, clock, adapter="otio_fcpx_xml_lite_adapter")
    return [(start, end, record - clock.record_start) for start, end, record in sections]


def from_csv(content: bytes, clock: Clock) -> Frames:
    """By its timecodes, which are those of the file; the other columns are compared with them."""
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    sections = [(int(row["start_frame"]), int(row["end_frame"])) for row in rows]
    for row, section in zip(rows, sections, strict=True):
        assert section == tuple(round(float(row[name]) * clock.rate) for name in ("start_seconds", "end_seconds"))
    return expected(sections)


CUE = re.compile(r"(\d{2,}):(\d\d):(\d\d)\.(\d{3}) --> (\d{2,}):(\d\d):(\d\d)\.(\d{3})")


def from_vtt(content: bytes) -> list[tuple[float, float]]:
    """The cues, in seconds, of a file that is valid throughout."""
    header, *cues = content.decode().removesuffix("\n").split("\n\n")
    assert header == "WEBVTT"
    spans: list[tuple[float, float]] = []
    for cue in cues:
        timing, text = cue.split("\n")
        match = CUE.fullmatch(timing)
        assert match is not None
        assert text
        assert "-->" not in text
        assert not re.search("<|&(?!amp;|lt;|gt;)", text)
        numbers = [int(number) for number in match.groups()]
        start, end = (
            3600 * hours + 60 * minutes + seconds + milliseconds / 1000
            for hours, minutes, seconds, milliseconds in (numbers[:4], numbers[4:])
        )
        assert start < end
        assert not spans or spans[-1][1] <= start
        spans.append((start, end))
    return spans
