"""The choice of moments: its arithmetic, where it cuts, and the bounds that it keeps. No file is read."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from clipzy_storage.models.clip_options import MAX_CLIPS_SECONDS, ClipOptions, SnapOptions
from clipzy_storage.models.clip_options import Section as Within
from clipzy_storage.models.measurements import Beat, Span
from clipzy_worker.analysers.moments.candidates import MAX_WINDOWS, area_of, candidates
from clipzy_worker.analysers.moments.cells import Integral, Numbers, cell_count, cell_middles, ranks
from clipzy_worker.analysers.moments.choice import best_windows
from clipzy_worker.analysers.moments.measured import Measured, MeasuredMotion, MeasuredShot, MeasuredSound
from clipzy_worker.analysers.moments.novelty import novelties
from clipzy_worker.analysers.moments.parts import part_values
from clipzy_worker.analysers.moments.pauses import Pauses, Side
from clipzy_worker.analysers.moments.pictures import BINS, ShownPictures, histogram
from clipzy_worker.analysers.moments.score import STEPS_PER_POINT, WEIGHTS, profile_of, scores
from clipzy_worker.analysers.moments.snapping import Point, Snapper
from clipzy_worker.analysers.moments.surprise import surprises
from clipzy_worker.analysers.moments.windows import Windows
from clipzy_worker.analysis.chosen_sections import chosen_sections
from clipzy_worker.analysis.sections import Section
from clipzy_worker.decode.frame_index import FrameIndex

RATE = 25
QUIET_LUFS, LOUD_LUFS = -45.0, -15.0


@dataclass(frozen=True)
class Story:
    """A video in numbers: ``cuts`` begin further shots, ``loud`` and ``lively`` are sections that stand out."""

    seconds: float = 120.0
    cuts: tuple[float, ...] = ()
    loud: tuple[tuple[float, float], ...] = ()
    lively: tuple[tuple[float, float], ...] = ()
    speech: tuple[tuple[float, float], ...] = ()
    beats: tuple[float, ...] = ()
    blank: tuple[tuple[float, float], ...] = ()
    has_sound: bool = True
    has_motion: bool = True

    def frames(self) -> FrameIndex:
        index = FrameIndex()
        for frame in range(round(self.seconds * RATE)):
            index.add(frame / RATE)
        index.end_seconds = self.seconds
        return index

    def measured(self) -> Measured:
        edges = [0.0, *self.cuts, self.seconds]
        middles = cell_middles(cell_count(self.seconds))
        return Measured(
            end_seconds=self.seconds,
            shots=[MeasuredShot(start, end) for start, end in itertools.pairwise(edges)],
            pictures=ShownPictures(self._histograms(len(edges) - 1), np.where(_within(middles, self.blank), 0.0, 1.0)),
            sound=self._sound() if self.has_sound else None,
            motion=MeasuredMotion(np.where(_within(middles, self.lively), 80.0, 10.0)) if self.has_motion else None,
        )

    def choose(self, options: ClipOptions) -> tuple[list[Section], list[str]]:
        return chosen_sections(options, self.measured(), self.frames())

    def times(self, options: ClipOptions) -> list[tuple[float, float]]:
        return [(one.frames.start / RATE, one.frames.stop / RATE) for one in self.choose(options)[0]]

    def _histograms(self, shots: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        found = np.zeros((shots, BINS**3), np.float32)
        found[np.arange(shots), np.arange(shots) * 7 % BINS**3] = 1
        return found

    def _sound(self) -> MeasuredSound:
        steps = (np.arange(round(self.seconds * 10), dtype=np.float64) + 1) / 10 - 0.2
        levels = np.where(_within(steps, self.loud), LOUD_LUFS, QUIET_LUFS)
        return MeasuredSound(
            momentary=levels,
            short_term=10
            * np.log10(np.convolve(np.pad(10 ** (levels / 10), (29, 0), mode="edge"), np.full(30, 1 / 30), "valid")),
            speech=[Span(start_seconds=start, end_seconds=end) for start, end in self.speech],
            beats=[Beat(time_seconds=beat, confidence=0.9, band="bass") for beat in self.beats],
            is_steady=bool(self.beats),
        )


def _within(seconds: Numbers, spans: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    found = np.zeros(len(seconds), np.bool_)
    for start, end in spans:
        found |= (seconds >= start) & (seconds < end)
    return found


EVERY_TEN = tuple(float(cut) for cut in range(10, 120, 10))
SHORT = ClipOptions(min_seconds=5, max_seconds=15, count=2)


# Arithmetic


def test_a_rank_is_the_share_of_what_is_plainly_lower_and_silence_has_none() -> None:
    # Given three levels, the second hardly above the first, and one cell that does not count
    levels, counted = np.array([-40.0, -37.0, -20.0, -70.0]), np.array([True, True, True, False])

    # Then only what is lower by 6 counts in full
    assert ranks(levels, counted, plain=6.0).tolist() == pytest.approx([0.0, 0.25, 1.0, 0.0])
    # And neither the level of all makes a difference, nor silence before it
    assert ranks(levels + 5, counted, plain=6.0).tolist() == pytest.approx([0.0, 0.25, 1.0, 0.0])
    assert ranks(np.append(-70.0, levels), np.append(False, counted), plain=6.0)[1:].tolist() == pytest.approx(
        [0.0, 0.25, 1.0, 0.0]
    )


def test_an_integral_is_exact_between_its_edges() -> None:
    integral = Integral.of_spans(np.array([1.0, 4.0]), np.array([2.0, 6.0]))
    assert integral.until(np.array([0.0, 1.5, 3.0, 5.0, 9.0])).tolist() == pytest.approx([0.0, 0.5, 1.0, 2.0, 3.0])
    assert Integral.of_spans(np.empty(0), np.empty(0)).until(np.array([3.0])).tolist() == [0.0]


def test_novelty_is_the_mean_distance_to_the_other_shots_by_their_length() -> None:
    # Given shots of which two are alike, one is different and one is blank
    shares = np.zeros((4, BINS**3), np.float32)
    shares[[0, 1, 2], [5, 5, 9]] = 1

    # Then it is what comparing all pairs would give
    found = novelties(shares, np.array([10.0, 20.0, 30.0, 99.0]))
    assert found is not None
    assert found.tolist() == pytest.approx([30 / 50, 30 / 40, 1.0, 0.0])
    assert novelties(shares[:1], np.array([10.0])) is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_novelty_is_that_of_all_pairs(seed: int) -> None:
    dice = np.random.default_rng(seed)
    shares = dice.dirichlet(np.full(BINS**3, 0.01), size=6).astype(np.float32)
    seconds = dice.uniform(1, 9, 6)
    found = novelties(shares, seconds)
    common = np.minimum(shares[:, None], shares[None]).sum(axis=2, dtype=np.float64)
    others = seconds[None] * (1 - np.eye(6))
    assert found is not None
    np.testing.assert_allclose(found, ((1 - common) * others).sum(axis=1) / others.sum(axis=1), atol=1e-5)


def test_a_histogram_tells_colours_apart() -> None:
    pictures = np.zeros((4, 8, 8, 3), np.uint8)
    pictures[1:, ..., 0], pictures[2, ..., 1], pictures[3, ..., 2] = 200, 200, 90
    bins = [int(histogram(one).argmax()) for one in pictures]
    assert len(set(bins)) == 4
    assert [float(histogram(one).sum()) for one in pictures] == pytest.approx([1.0] * 4)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["talk", "music", "action"]), st.integers(0, 2**32 - 1))
def test_the_points_add_up_to_the_score_exactly(profile: str, seed: int) -> None:
    # Given values of parts, and edges that cost something
    dice = np.random.default_rng(seed)
    names = [name for name in WEIGHTS[profile] if dice.random() < 0.7]  # type: ignore[index]
    values = {name: dice.random(5) for name in names}

    # When they are weighed
    found = scores(profile, values, dice.uniform(0.6, 1, 5))  # type: ignore[arg-type]

    # Then it can be added up by whoever reads it, and weights are of all that was measured
    for window in range(5):
        parts = found.parts(window)
        assert sum(part.points for part in parts) == found.totals[window]
        assert all((part.points * STEPS_PER_POINT).is_integer() for part in parts)
        assert 0 <= found.totals[window] <= 100
        assert [part.name for part in parts] == names
    assert sum(found.weights.values()) == pytest.approx(1.0 if names else 0.0)


def test_a_part_that_cannot_be_measured_is_left_out() -> None:
    story = Story(cuts=EVERY_TEN, loud=((40, 50),), lively=((80, 90),))
    windows = Windows(np.array([40.0]), np.array([50.0]), np.array([0]), np.array([0]))
    sides = {
        "all": (story, {"speech", "energy", "surprise", "motion", "novelty", "picture", "rhythm"}),
        "no sound": (replace(story, has_sound=False), {"motion", "novelty", "picture"}),
        "no motion": (
            replace(story, has_motion=False),
            {"speech", "energy", "surprise", "novelty", "picture", "rhythm"},
        ),
        "one shot": (replace(story, cuts=()), {"speech", "energy", "surprise", "motion", "picture", "rhythm"}),
        "blank": (replace(story, blank=((0, 120),)), {"speech", "energy", "surprise", "motion", "novelty", "rhythm"}),
    }
    for name, (one, parts) in sides.items():
        assert set(part_values(one.measured(), windows)) == parts, name


def test_the_value_of_each_part() -> None:
    # Given a loud section in a quiet video, speech of which a window cuts one of two sections, beats half of the time
    story = Story(
        seconds=100,
        cuts=(20, 40, 60.0, 80),
        loud=((40, 50),),
        lively=((40, 60),),
        speech=((41, 45), (58, 66)),
        beats=tuple(np.arange(40, 50.1, 0.5).tolist()),
    )
    windows = Windows(np.array([40.0]), np.array([60.0]), np.array([0]), np.array([0]))

    # When the window is measured
    values = {name: float(value[0]) for name, value in part_values(story.measured(), windows).items()}

    # Then
    assert values["speech"] == pytest.approx(6 / 20 * (1 - 1 / 2))
    assert values["energy"] == pytest.approx(0.5, abs=0.05)  # of the three seconds around each cell
    assert values["surprise"] == pytest.approx(0.22, abs=0.02)  # 1 for 2.5 s, then less until the 5 s are as loud
    assert values["motion"] == pytest.approx(160 / 199)
    assert values["novelty"] == pytest.approx(1.0)
    assert values["picture"] == pytest.approx(1.0)
    assert values["rhythm"] == pytest.approx(0.9 * 0.5, abs=0.01)  # the cut at 40 is on a beat


@pytest.mark.parametrize(
    ("story", "profile"),
    [
        (Story(speech=((10, 60),)), "talk"),
        (Story(beats=(1.0, 2.0)), "music"),
        (Story(speech=((10, 40),), beats=(1.0, 2.0)), "action"),
        (Story(), "action"),
        (Story(has_sound=False), "action"),
    ],
)
def test_auto_takes_the_profile_of_what_is_heard(story: Story, profile: str) -> None:
    assert profile_of(story.measured().sound) == profile


# Edges


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


# Choice


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
    options = ClipOptions(within=Within(start_seconds=130, end_seconds=140))
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
