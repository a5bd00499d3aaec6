"""What each format has beside its frames, and names that would break a format if they were not escaped."""

import csv
import io
import re
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree

import opentimelineio as otio
import pycmx
import pytest

from clipzy_api.exports import FORMAT_NAMES, Document, FormatName, Of, TooManySections, exported
from tests.exports import readers
from tests.exports.documents import document, output, read
from tests.exports.readers import Clock

NAMES = {
    "quotes": "a \"quoted\" and 'single' & <tagged>.mp4",
    "newline": "two\nlines\r\n* FROM CLIP NAME: other.mp4",
    "end of CDATA": "x]]>y.mp4",
    "arrow": "00:01 --> 00:02.mp4",
    "right to left": "\u05e9\u05dc\u05d5\u05dd.mp4",
    "emoji": "\U0001f3ac film \U0001f468\u200d\U0001f469.mp4",
    "long": "n" * 1024,
    "formula": "=HYPERLINK(0).mp4",
    "separators": "a;b#c=d\\e,f.mp4",
    "controls": "nul\0 bell\a escape\x1b[31m.mp4",
    "no character": "\ufffe\uffff.mp4",
}
CLOCK = Clock(Fraction(25), 0, 90_000)


def text(source: Document, name: FormatName, of: Of = "shots", *, media: str = "") -> str:
    return exported(source, name, of, media=media).content.decode()


def shown(name: str) -> str:
    """In one line, without what is no text."""
    return re.sub("[\x00-\x20\x7f-\x9f\ufffe\uffff\ud800-\udfff]+", " ", name).strip()


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_never_breaks_a_format(name: str) -> None:
    # Given a video with such a name
    source = document(shots=(0, 50, 100), clips=[], filename=name)
    frames = [(0, 50, 0), (50, 100, 50)]

    # When it is exported, Then every file is read to its end, and has the name
    last = shown(name).replace("\\", "/").rpartition("/")[2]
    timeline: Any = otio.adapters.read_from_string(text(source, "otio"), "otio_json")
    assert readers.frames_of(timeline, CLOCK) == frames
    assert {clip.media_reference.name for clip in timeline.find_clips()} == {last}
    assert readers.from_fcpxml(exported(source, "fcpxml", "shots").content, CLOCK) == frames
    asset = ElementTree.fromstring(text(source, "fcpxml")).find(".//asset")
    assert asset is not None
    assert asset.get("name") == last
    assert readers.from_otio(exported(source, "fcp7", "shots").content, CLOCK, adapter="fcp_xml") == frames
    assert ElementTree.fromstring(text(source, "fcp7")).findtext(".//file/name") == last
    events = pycmx.parse_cmx3600(io.StringIO(text(source, "edl"))).events
    assert [event.edits[0].clip_name for event in events] == [last, last]
    rows = list(csv.DictReader(io.StringIO(text(source, "csv"), newline="")))
    assert {row["media"].lstrip("'") for row in rows} == {shown(name).replace("\\", "/")}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert text(source, "vtt") == "WEBVTT\n"
    # And the name of the export is one that every system takes
    assert re.fullmatch(r'[^\x00-\x1f"*/:<>?\\|]{1,90}-shots[.]edl', exported(source, "edl", "shots").name)


@pytest.mark.parametrize(
    ("media", "link", "pathurl", "name"),
    [
        ("my film.mov", "my%20film.mov", "file://localhost/my%20film.mov", "my film.mov"),
        ("/media/a#1.mov", "file:///media/a%231.mov", "file://localhost/media/a%231.mov", "a#1.mov"),
        ("C:\\cut\\a b.mov", "file:///C:/cut/a%20b.mov", "file://localhost/C:/cut/a%20b.mov", "a b.mov"),
        ("\\\\nas\\day\\a.mov", "file://nas/day/a.mov", "file://nas/day/a.mov", "a.mov"),
        ("https://x.org/a%20b.mov?k=1", "https://x.org/a%20b.mov?k=1", "https://x.org/a%20b.mov?k=1", "a b.mov"),
        ("file:///a/ö.mov", "file:///a/%C3%B6.mov", "file:///a/%C3%B6.mov", "ö.mov"),
    ],
)
def test_the_video_is_looked_for_where_the_caller_says(media: str, link: str, pathurl: str, name: str) -> None:
    source = document(shots=(0, 50), clips=[])

    timeline: Any = otio.adapters.read_from_string(text(source, "otio", media=media), "otio_json")
    reference = next(iter(timeline.find_clips())).media_reference
    assert (reference.target_url, reference.name) == (link, name)
    assert ElementTree.fromstring(text(source, "fcp7", media=media)).findtext(".//file/pathurl") == pathurl
    assert f"* FROM CLIP NAME: {name}\n" in text(source, "edl", media=media)
    representation = ElementTree.fromstring(text(source, "fcpxml", media=media)).find(".//media-rep")
    assert representation is not None
    assert representation.get("src") == pathurl.replace("//localhost/", "///")


def test_a_dissolve_in_an_edl_is_a_cut_of_no_length_and_the_dissolve() -> None:
    # Given a shot that begins with a dissolve of half a second, and one with a dissolve that is longer than itself
    result = output(shots=(0, 50, 100, 110), clips=[])
    result["shots"][1] |= {"transition": "dissolve", "transition_seconds": 0.52}
    result["shots"][2] |= {"transition": "dissolve", "transition_seconds": 2.0}

    # When it is exported
    edl = text(read(result), "edl")

    # Then other programs read the dissolve with its duration, and the same frames
    events = pycmx.parse_cmx3600(io.StringIO(edl)).events
    transitions = [[(edit.transition.kind, edit.transition.operand) for edit in event.edits] for event in events]
    assert transitions == [[("C", "")], [("C", ""), ("D", "013")], [("C", ""), ("D", "010")]]
    assert readers.edl_by_pycmx(edl.encode(), CLOCK) == [(0, 50, 0), (50, 100, 50), (100, 110, 100)]
    assert readers.edl_by_otio(edl.encode(), CLOCK) == [(0, 50, 0), (50, 100, 50), (100, 110, 100)]
    assert "002  A001     AA/V  C        00:00:02:00 00:00:02:00 01:00:02:00 01:00:02:00\n" in edl
    assert "002  A001     AA/V  D    013 00:00:02:00 00:00:04:00 01:00:02:00 01:00:04:00\n" in edl


def test_a_video_without_sound_has_no_track_of_it() -> None:
    source = document(shots=(0, 50), clips=[], audio_codec=None)

    timeline: Any = otio.adapters.read_from_string(text(source, "otio"), "otio_json")
    assert [track.kind for track in timeline.tracks] == ["Video"]
    assert "hasAudio" not in text(source, "fcpxml")
    assert "AA" not in text(source, "edl")
    assert "<audio>" not in text(source, "fcp7")


def test_picture_and_both_channels_are_linked_in_fcp_7() -> None:
    root = ElementTree.fromstring(text(document(shots=(0, 50, 100), clips=[]), "fcp7"))

    items = {item.get("id"): item for item in root.iter("clipitem")}
    assert list(items) == ["video-1-1", "video-1-2", "audio-1-1", "audio-1-2", "audio-2-1", "audio-2-2"]
    for item in items.values():
        linked = [items[link.findtext("linkclipref")] for link in item.findall("link")]
        assert {other.findtext("start") for other in linked} == {item.findtext("start")}
        assert len(linked) == 3
        start, end, first, last = (int(item.findtext(name, "")) for name in ("start", "end", "in", "out"))
        assert (start, end) == (first, last)
    described = [file for file in root.iter("file") if len(file)]
    assert len(described) == 1


def test_otio_has_scores_and_beats() -> None:
    # Given a clip with its score, and beats before, in and after it
    result = output(shots=(0, 100), clips=[(25, 75)])
    beats = [{"time_seconds": seconds, "confidence": 0.5, "band": "mid"} for seconds in (0.5, 1.0, 2.96, 3.0)]
    result["audio"] = {"channels": 1, "sample_rate_hz": 44_100, "beats": beats}

    # When it is exported
    timeline: Any = otio.adapters.read_from_string(text(read(result), "otio", "clips"), "otio_json")
    clip = next(iter(timeline.find_clips()))

    # Then the clip has both, the beats at their frames
    assert clip.metadata["clipzy"]["score"] == 81.5
    assert clip.metadata["clipzy"]["parts"][0]["name"] == "motion"
    assert [marker.marked_range.start_time.value for marker in clip.markers] == [25, 74]


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_a_result_without_clips_has_a_valid_file_of_none(name: FormatName) -> None:
    # Given a result of an earlier version
    result = output(shots=(0, 100))
    del result["clips"], result["source"]["timecode"], result["source"]["first_frame_seconds"]

    # When its clips are exported, Then the file is empty, and valid
    content = exported(read(result), name, "clips").content
    match name:
        case "otio" | "fcp7":
            adapter = {"otio": "otio_json", "fcp7": "fcp_xml"}[name]
            timeline: Any = otio.adapters.read_from_string(content.decode(), adapter)
            assert list(timeline.find_clips()) == []
        case "fcpxml":
            assert readers.from_fcpxml(content, CLOCK) == []
        case "edl":
            assert content == b"TITLE: holiday clips\nFCM: NON-DROP FRAME\n"
        case "csv":
            assert readers.from_csv(content, CLOCK) == []
        case "vtt":
            assert readers.from_vtt(content) == []
        case "ffmetadata":
            assert content == b";FFMETADATA1\n"


def test_a_format_that_has_no_room_says_which_has() -> None:
    # Given a video with more shots than an EDL can have events, and one with more than any timeline
    many, too_many = (document(Fraction(25), shots=range(0, count * 10 + 1, 10), clips=[]) for count in (1000, 5001))

    with pytest.raises(TooManySections, match="There are 1000 shots, and edl has room for 999: otio"):
        exported(many, "edl", "shots")
    assert len(readers.from_fcpxml(exported(many, "fcpxml", "shots").content, CLOCK)) == 1000
    for name in ("otio", "fcpxml", "fcp7"):
        with pytest.raises(TooManySections, match="csv has room for more"):
            exported(too_many, name, "shots")
    assert len(readers.from_csv(exported(too_many, "csv", "shots").content, CLOCK)) == 5001


def test_a_table_is_one_of_rfc_4180() -> None:
    content = text(document(shots=(0, 50), clips=[], filename='a,"b".mp4'), "csv")

    assert content.splitlines(keepends=True) == [
        "index,start_seconds,end_seconds,transition,transition_seconds,"
        "start_frame,end_frame,start_timecode,end_timecode,media\r\n",
        '0,0.0,2.0,start,0.0,0,50,00:00:00:00,00:00:02:00,"a,""b"".mp4"\r\n',
    ]
