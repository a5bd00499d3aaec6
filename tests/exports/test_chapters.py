"""Chapters: which shots they join, and the files in which players read them."""

from pathlib import Path
from typing import Any

import av
import pytest

from clipzy_api.exports import exported
from clipzy_api.exports.chapters import MAX_CHAPTERS, Chapter, chapters_of, ffmetadata, vtt
from tests.exports import readers
from tests.exports.documents import output, read
from tests.support.media.clips import ffmpeg

RATE = 25
Boundary = tuple[float, str]


def result(end_seconds: float, *boundaries: Boundary, **audio: Any) -> dict[str, Any]:
    """Of a video with shots from 0 on, which begin there."""
    times = [0.0, *(seconds for seconds, _ in boundaries), end_seconds]
    found = output(shots=[round(seconds * RATE) for seconds in times], clips=[])
    for shot, (_, transition) in zip(found["shots"][1:], boundaries, strict=True):
        shot["transition"] = transition
    return found | {"audio": {"channels": 2, "sample_rate_hz": 48_000, **audio}} if audio else found


def starts(found: dict[str, Any]) -> list[float]:
    chapters = chapters_of(read(found), "shots")
    ends = [chapter.end_ms for chapter in chapters]
    assert ends[:-1] == [chapter.start_ms for chapter in chapters[1:]]
    assert not chapters or ends[-1] == round(found["source"]["duration_seconds"] * 1000)
    return [chapter.start_ms / 1000 for chapter in chapters]


def test_chapters_begin_at_fades_and_dissolves_rather_than_at_cuts() -> None:
    found = result(60, (9, "fade"), (12, "cut"), (20, "dissolve"), (28, "fade"), (40, "cut"), (44, "dissolve"))

    assert starts(found) == [0, 28, 44]  # 9 lies too near to the beginning, 20 to a fade


def test_cuts_in_a_pause_come_before_other_cuts() -> None:
    # Given three cuts, of which one lies in silence and one between words
    cuts = [(float(at), "cut") for at in (15, 20, 31, 42)]
    silences = [{"start_seconds": 19.5, "end_seconds": 20.5}]
    speech = [{"start_seconds": 0, "end_seconds": 41}, {"start_seconds": 43, "end_seconds": 60}]

    assert starts(result(60, *cuts, silences=silences, speech=speech)) == [0, 20, 42]


def test_other_cuts_are_used_where_there_would_be_too_few() -> None:
    assert starts(result(60, (11, "cut"), (15, "cut"), (25, "fade"), (45, "cut"))) == [0, 11, 25, 45]


@pytest.mark.parametrize(
    "boundaries", [(), ((15.0, "cut"),), ((5.0, "cut"), (15.0, "cut"), (24.0, "cut"))], ids=["none", "one", "too near"]
)
def test_a_video_with_fewer_than_three_has_none(boundaries: tuple[Boundary, ...]) -> None:
    assert starts(result(30, *boundaries)) == []


def test_a_long_video_has_longer_chapters() -> None:
    # Given two hours with a fade every eleven seconds
    fades = [(float(at), "fade") for at in range(11, 7190, 11)]

    assert 25 < len(starts(result(7200, *fades))) <= MAX_CHAPTERS


def test_clips_are_chapters_of_their_own() -> None:
    # Given clips of which two overlap, and one begins with another and ends before it
    found = output(shots=(0, 1000), clips=[(100, 200), (150, 300), (150, 250), (500, 600)])

    # When they are exported, Then each ends where the next begins
    cues = readers.from_vtt(exported(read(found), "vtt", "clips").content)
    assert cues == [(4.0, 6.0), (6.0, 12.0), (20.0, 24.0)]


def test_cues_are_valid_whatever_the_title() -> None:
    chapters = [
        Chapter(0, 10_000, "a --> b & <i>c</i>"),
        Chapter(10_000, 3_599_999, "two\n\nlines"),
        Chapter(3_599_999, 360_000_001, "שלום 🎬"),
    ]

    cues = vtt(chapters)

    assert readers.from_vtt(cues.encode()) == [(0, 10), (10, 3599.999), (3599.999, 360_000.001)]
    assert "a --&gt; b &amp; &lt;i&gt;c&lt;/i&gt;\n" in cues


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_ffmpeg_writes_the_chapters_into_a_video(suffix: str, tmp_path: Path) -> None:
    # Given chapters whose titles have all that its format gives a meaning
    titles = ["plain", "a=b;c#d\\e", "[CHAPTER]", "שלום 🎬", ";comment", "two\nlines"]
    chapters = [Chapter(number * 100, number * 100 + 100, title) for number, title in enumerate(titles)]
    (tmp_path / "chapters.ffmeta").write_text(ffmetadata(chapters))

    # When ffmpeg muxes them
    video = ["-f", "lavfi", "-i", "testsrc=size=64x36:rate=25:duration=0.6"]
    path = tmp_path / f"video.{suffix}"
    ffmpeg(*video, "-i", str(tmp_path / "chapters.ffmeta"), "-map_chapters", "1", "-c:v", "libx264", str(path))

    # Then a player finds them
    with av.open(str(path)) as container:
        found = container.chapters()
    read_back = [
        (*(round(one[edge] * (one["time_base"] or 0) * 1000) for edge in ("start", "end")), one["metadata"])
        for one in found
    ]
    assert read_back == [(one.start_ms, one.end_ms, {"title": one.title}) for one in chapters]
