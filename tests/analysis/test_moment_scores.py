"""The score of moments: the value of each part, and that points add up. No file is read."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipzy_worker.analysers.moments.cells import Integral, ranks
from clipzy_worker.analysers.moments.novelty import novelties
from clipzy_worker.analysers.moments.parts import part_values
from clipzy_worker.analysers.moments.pictures import BINS, histogram
from clipzy_worker.analysers.moments.score import STEPS_PER_POINT, WEIGHTS, profile_of, scores
from clipzy_worker.analysers.moments.windows import Windows
from tests.support.media.moment_stories import EVERY_TEN, Story


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
