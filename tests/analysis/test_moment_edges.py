"""Where chosen clips begin and end: on cuts, in pauses, on beats, and never within a word. No file is read."""

import numpy as np
import pytest

from clipzy_storage.models.clip_options import ClipOptions, SnapOptions
from clipzy_worker.analysers.moments.measured import MeasuredSound
from clipzy_worker.analysers.moments.pauses import Pauses, Side
from clipzy_worker.analysers.moments.snapping import Point, Snapper
from clipzy_worker.analysers.moments.surprise import surprises
from tests.support.media.moment_stories import EVERY_TEN, RATE, Story


def _edges(story: Story, **options: object) -> tuple[str, float, str, float]:
    """Kinds and times of the edges of the best clip."""
    sections, _ = story.choose(ClipOptions.model_validate({"count": 1, "min_seconds": 5, "max_seconds": 30, **options}))
    best = sections[0]
    return (
        best.edges.start.kind,
        best.frames.start / RATE,
        best.edges.end.kind,
        best.frames.stop / RATE,
    )


def test_edges_lie_on_cuts() -> None:
    story = Story(cuts=EVERY_TEN, loud=((40, 50),), lively=((40, 50),))
    assert _edges(story) == ("shot", 40.0, "shot", 50.0)


def test_speech_is_not_cut_although_there_is_a_cut_in_it() -> None:
    # Given somebody who speaks on over two cuts
    story = Story(cuts=EVERY_TEN, loud=((40, 60),), lively=((40, 60),), speech=((38.5, 41.0), (58.0, 61.5)))

    # When a clip is chosen there
    start_kind, start, end_kind, end = _edges(story, profile="action")

    # Then it begins and ends in pauses, with the margin kept
    assert (start_kind, end_kind) in {("pause", "pause"), ("shot", "pause"), ("pause", "shot"), ("shot", "shot")}
    for at in (start, end):
        assert not any(begin - 0.19 < at < stop + 0.19 for begin, stop in ((38.5, 41.0), (58.0, 61.5))), at


def test_a_cut_in_the_pause_is_preferred_to_its_middle() -> None:
    # Given speech that pauses for a second, with a cut in it
    story = Story(cuts=(40.32,), speech=((10, 39.9), (40.9, 49.0), (51.0, 90)), loud=((40.32, 50),))
    assert _edges(story, max_seconds=12)[:2] == ("shot", 40.32)


def test_a_short_pause_is_cut_in_its_middle() -> None:
    story = Story(speech=((5, 39.9), (40.2, 49.9), (50.2, 110)), loud=((40, 50),))
    assert _edges(story, max_seconds=12) == ("pause", 40.04, "pause", 50.08)


def test_no_sliver_of_a_neighbouring_shot_is_shown() -> None:
    # Given pauses that lie a little before and after cuts in speech
    story = Story(
        cuts=(40.0, 60.0),
        speech=((10, 39.4), (39.8, 59.0), (60.2, 90)),
        loud=((40, 60),),
        lively=((40, 60),),
    )

    # When a clip is chosen, with any tolerance
    for tolerance in (0.0, 1.0):
        _, start, _, end = _edges(story, snap={"tolerance_seconds": tolerance})

        # Then no shot is seen for less than half a second
        for cut in story.cuts:
            assert not 0 < cut - start < 0.5
            assert not 0 < end - cut < 0.5


def test_edges_lie_on_beats_if_asked() -> None:
    beats = tuple((np.arange(0.2, 120, 0.5)).tolist())
    story = Story(beats=beats, loud=((40, 50),), lively=((40, 50),))
    start_kind, start, end_kind, end = _edges(story, snap={"beats": True}, max_seconds=12, profile="action")
    assert (start_kind, end_kind) == ("beat", "beat")
    assert min(abs(beat - start) for beat in beats) < 1 / RATE
    assert min(abs(beat - end) for beat in beats) < 1 / RATE


def _snapped(point: Point, side: Side, **options: object) -> tuple[str, float, float]:
    """In a video with speech up to 40 s and from 44 s on, a cut at 41 s and beats at 41.5, 42.5 and 43.5 s."""
    story = Story(speech=((10, 40), (44, 60)))
    pauses = Pauses(story.measured().sound.speech, begin=0.0, end=120.0, margin_seconds=0.2)  # type: ignore[union-attr]
    snap = SnapOptions.model_validate({"beats": True, **options})
    snapper = Snapper(snap, story.frames(), pauses=pauses, cuts=[41.0], beats=[41.5, 42.5, 43.5])
    found = snapper.snapped(point, side)
    assert found is not None
    return found.kind, found.seconds, found.moved_seconds


def test_a_point_is_moved_to_what_is_near_in_the_same_pause() -> None:
    # To a cut, but no further than the tolerance; then to a beat, if that leaves no sliver
    assert _snapped(Point(41.9, "pause"), "start") == ("shot", 41.0, -0.9)
    assert _snapped(Point(41.9, "grid"), "start", tolerance_seconds=0.7) == ("beat", 41.48, -0.42)
    assert _snapped(Point(41.9, "grid"), "end", tolerance_seconds=0.7) == ("beat", 41.52, -0.38)
    assert _snapped(Point(42.8, "grid"), "end", beats=False) == ("grid", 42.8, 0.0)
    # Out of speech first, away from where it was: a start back, an end on
    assert _snapped(Point(50.0, "grid"), "start", tolerance_seconds=0.2) == ("pause", 43.8, -6.2)
    assert _snapped(Point(20.0, "grid"), "end", tolerance_seconds=0.2) == ("pause", 40.2, 20.2)


def test_a_rise_is_above_what_was_heard_before_and_the_first_sound_is_none() -> None:
    # Given silence for 10 s, a sound that comes within a second, 5 LU more from 20 s on, and 30 LU more from 30 s on
    levels = np.repeat([-70.0, -60.0, -50.0, -45.0, -15.0], [100, 3, 97, 100, 100])

    found = surprises(MeasuredSound(levels, levels))

    # Then it rises twice, the second time by as much as counts
    for size, span in ((0, (5, 12.5)), (0.5, (19, 21)), (1, (29, 31)), (0, (37, 40))):
        before, after = found.until(np.array(span, np.float64)).tolist()
        assert (after - before) / (span[1] - span[0]) == pytest.approx(size, abs=0.07), span


def test_where_nothing_happens_to_cut_at_there_is_a_grid_and_it_costs() -> None:
    story = Story(loud=((40, 52),), lively=((40, 52),))
    sections, _ = story.choose(ClipOptions(count=1, min_seconds=5, max_seconds=12))
    assert (sections[0].edges.start.kind, sections[0].edges.end.kind) == ("grid", "grid")
    assert sections[0].choice is not None
    bare = sum(part.value * part.weight * 100 for part in sections[0].choice.parts)
    assert sections[0].choice.score == pytest.approx(0.9 * bare, abs=0.5)


def test_speech_without_end_is_cut_at_a_cost() -> None:
    # Given a speech that is longer than the longest clip, and silence before it
    story = Story(speech=((30, 119.5),), loud=((60, 70),))
    sections, _ = story.choose(ClipOptions(count=1, min_seconds=5, max_seconds=12))
    assert sections[0].frames.start > 55 * RATE
    assert sections[0].choice is not None
    bare = sum(part.value * part.weight * 100 for part in sections[0].choice.parts)
    assert sections[0].choice.score == pytest.approx(0.6 * bare, abs=0.5)
