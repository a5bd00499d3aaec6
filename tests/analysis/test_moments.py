"""The choice of moments, and the bounds that it keeps. No file is read."""

import itertools
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clipzy_storage.models.clip_options import MAX_CLIPS_SECONDS, ClipOptions, TimeRange
from clipzy_worker.analysers.moments.candidates import MAX_WINDOWS, area_of, candidates
from clipzy_worker.analysers.moments.choice import best_windows
from clipzy_worker.analysers.moments.windows import Windows
from clipzy_worker.analysis.chosen_sections import chosen_sections
from tests.support.media.moment_stories import EVERY_TEN, RATE, Story

SHORT = ClipOptions(min_seconds=5, max_seconds=15, count=2)


def test_the_clips_are_what_stands_out_ranked_by_score() -> None:
    story = Story(cuts=EVERY_TEN, loud=((30, 40), (80, 90)), lively=((80, 90),))
    sections, warnings = story.choose(SHORT)
    assert [(one.frames.start / RATE, one.frames.stop / RATE) for one in sections] == [(30.0, 40.0), (80.0, 90.0)]
    assert [one.choice.rank for one in sections if one.choice] == [2, 1]
    assert not warnings


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5), st.integers(0, 40)), min_size=1, max_size=7),
    st.integers(1, 3),
)
def test_without_diversity_the_sum_of_the_scores_is_the_highest(spans: list[tuple[int, int, int]], count: int) -> None:
    # Given some windows with scores
    spans = sorted(set(spans))
    starts, ends = (
        np.array([float(one) for one in side]) for side in ([a for a, _, _ in spans], [a + b for a, b, _ in spans])
    )
    times = np.unique(ends)
    windows = Windows(
        np.unique(starts), times, np.searchsorted(np.unique(starts), starts), np.searchsorted(times, ends)
    )
    worth = np.array([score / 8 for _, _, score in spans])

    # When the best are taken
    chosen = best_windows(windows, worth, count=count, total_seconds=1e9).windows

    # Then they do not overlap, and no other choice of so many would have had more
    assert len(chosen) <= count
    assert _are_apart([(starts[one], ends[one]) for one in chosen])
    every = itertools.chain.from_iterable(itertools.combinations(range(len(spans)), n) for n in range(count + 1))
    best = max(sum(worth[list(some)]) for some in every if _are_apart([(starts[one], ends[one]) for one in some]))
    assert sum(worth[chosen]) == best


def _are_apart(spans: Sequence[tuple[float, float]]) -> bool:
    return all(one[1] <= other[0] for one, other in itertools.pairwise(sorted(spans)))


def test_diversity_takes_another_moment_instead_of_one_that_is_near() -> None:
    # Given a long loud stretch, and somewhere else another that is a little less
    cuts = tuple(float(cut) for cut in range(10, 600, 10))
    story = Story(seconds=600, cuts=cuts, loud=((100, 120), (500, 510)), lively=((100, 120),))
    options = {"count": 2, "min_seconds": 8, "max_seconds": 12}

    # Then the score alone takes two pieces of the first, and diversity one of each
    assert story.times(ClipOptions.model_validate({**options, "diversity": 0})) == [(100.0, 110.0), (110.0, 120.0)]
    assert {one // 10 for one, _ in story.times(ClipOptions.model_validate({**options, "diversity": 0.6}))} == {10, 50}


@st.composite
def _stories(draw: st.DrawFn) -> tuple[Story, ClipOptions]:
    seconds = draw(st.integers(4, 150))
    tenths = st.integers(1, seconds * 10 - 1)
    points = sorted(draw(st.sets(tenths, max_size=24)))
    speech = tuple((a / 10, b / 10) for a, b in itertools.pairwise(points[: len(points) // 2 * 2]))[::2]
    cuts = tuple(frame / RATE for frame in sorted(draw(st.sets(st.integers(1, seconds * RATE - 1), max_size=12))))
    spans = st.tuples(st.integers(0, seconds), st.integers(1, 30)).map(lambda one: (one[0], one[0] + one[1]))
    story = Story(
        seconds=float(seconds),
        cuts=cuts,
        speech=speech,
        loud=tuple(draw(st.lists(spans, max_size=3))),
        lively=tuple(draw(st.lists(spans, max_size=3))),
        beats=tuple(np.arange(1, seconds, 0.5).tolist()) if draw(st.booleans()) else (),
        has_sound=draw(st.booleans()),
        has_motion=draw(st.booleans()),
    )
    shortest = draw(st.integers(1, 20))
    within = draw(st.none() | st.integers(0, seconds - 1))
    return story, ClipOptions.model_validate(
        {
            "count": draw(st.integers(1, 5)),
            "min_seconds": shortest,
            "max_seconds": shortest + draw(st.integers(0, 30)),
            "diversity": draw(st.sampled_from([0, 0.3, 1])),
            "snap": {"shots": draw(st.booleans()), "speech": draw(st.booleans()), "beats": draw(st.booleans())},
            "within": None if within is None else {"start_seconds": within, "end_seconds": within + 30.5},
        }
    )


@settings(max_examples=30, deadline=None)
@given(_stories())
def test_bounds_are_kept_whatever_the_video(drawn: tuple[Story, ClipOptions]) -> None:
    story, options = drawn
    # When clips are chosen
    sections, warnings = story.choose(options)

    # Then there are as many as asked, or it is said why not
    assert len(sections) <= options.count
    assert bool(warnings) == (len(sections) < options.count)
    # And they do not overlap, and are by time
    assert all(one.frames.stop <= other.frames.start for one, other in itertools.pairwise(sections))
    # And they are as long as asked, within what was asked, but for a frame
    low, high = 0.0, story.seconds
    if options.within:
        low, high = options.within.start_seconds, min(options.within.end_seconds, story.seconds)
    for one in sections:
        start, end = one.frames.start / RATE, one.frames.stop / RATE
        assert end - start <= options.max_seconds + 1e-6
        assert end - start >= min(options.min_seconds, high - low) - 1e-6
        assert start > low - 1 / RATE
        assert end < high + 1 / RATE
    # And ranks follow scores, which are the sums of their points
    by_rank = sorted((one.choice for one in sections if one.choice), key=lambda choice: choice.rank)
    assert [choice.rank for choice in by_rank] == list(range(1, len(sections) + 1))
    assert [choice.score for choice in by_rank] == sorted((choice.score for choice in by_rank), reverse=True)
    assert all(sum(part.points for part in choice.parts) == choice.score for choice in by_rank)
    # And it is the same once more
    assert story.choose(options) == (sections, warnings)


def test_what_is_chosen_does_not_depend_on_where_it_is() -> None:
    # Given a video, and the same after a minute of black and silence
    story = Story(cuts=EVERY_TEN, loud=((30, 40),), lively=((80, 90),), speech=((31, 34), (36, 39.5)))
    moved = Story(
        seconds=180,
        cuts=(60.0, *(60.0 + cut for cut in EVERY_TEN)),
        loud=_later(story.loud),
        lively=_later(story.lively),
        speech=_later(story.speech),
        blank=((0, 60),),
    )
    measured = moved.measured()
    sound = measured.sound
    assert sound is not None
    for levels in (sound.momentary, sound.short_term):
        levels[:600] = -70.0
    measured.pictures.histograms[0] = 0
    measured.pictures.histograms[1:] = story.measured().pictures.histograms

    # When clips are chosen from both
    sections, _ = chosen_sections(SHORT, measured, moved.frames())

    # Then they are the same moments with the same scores
    expected, _ = story.choose(SHORT)
    assert [(one.frames.start - 60 * RATE, one.frames.stop - 60 * RATE) for one in sections] == [
        (one.frames.start, one.frames.stop) for one in expected
    ]
    assert [one.choice for one in sections] == [one.choice for one in expected]


def _later(spans: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    return tuple((60 + start, 60 + end) for start, end in spans)


def test_a_short_video_is_one_clip() -> None:
    sections, warnings = Story(seconds=6, cuts=(3.0,)).choose(ClipOptions())
    assert [one.frames for one in sections] == [range(150)]
    assert (sections[0].edges.start.kind, sections[0].edges.end.kind) == ("end", "end")
    assert warnings == ["1 of 3 clips were chosen: the video is shorter than clips.min_seconds."]


def test_clips_have_half_an_hour_together() -> None:
    cuts = tuple(float(cut) for cut in range(100, 9000, 100))
    story = Story(seconds=9000, cuts=cuts)
    for diversity in (0, 0.3):
        options = ClipOptions(count=20, min_seconds=400, max_seconds=600, diversity=diversity)
        sections, warnings = story.choose(options)
        assert sum(len(one.frames) for one in sections) / RATE <= MAX_CLIPS_SECONDS
        assert "1800 seconds together" in warnings[0]


def test_nothing_is_chosen_from_what_is_blank_and_silent() -> None:
    story = Story(seconds=60, blank=((0, 60),), has_sound=False, has_motion=False)
    assert story.choose(ClipOptions()) == (
        [],
        ["No clip could be chosen: there is nothing to score in it, no sound and only blank pictures."],
    )


def test_nothing_is_chosen_beyond_the_end() -> None:
    options = ClipOptions(within=TimeRange(start_seconds=130, end_seconds=140))
    assert Story().choose(options) == ([], ["No clip could be chosen: the video has no frame in clips.within."])


def test_a_long_video_has_few_enough_windows() -> None:
    # Given two hours of talk and cuts, and clips of up to ten minutes
    story = Story(
        seconds=2 * 3600,
        cuts=tuple(float(cut) for cut in range(7, 2 * 3600 - 7, 7)),
        speech=tuple((at + 0.5, at + 2.5) for at in range(0, 2 * 3600 - 5, 3)),
    )
    frames = story.frames()
    options = ClipOptions(min_seconds=1, max_seconds=600)
    area = area_of(options, frames)
    assert area is not None

    # Then the windows are bounded, and some begin everywhere
    windows = candidates(options, story.measured(), frames, area).windows
    assert 1000 < len(windows) <= MAX_WINDOWS
    assert np.diff(windows.starts).max() < 30
