"""Where nothing is to be heard: videos whose silences are known to the sample."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from clipzy_storage.models.job_config import SilenceOptions
from clipzy_storage.models.measurements import Span
from clipzy_worker.analysers.audio.chunk import Chunk
from clipzy_worker.analysers.audio.silences import Silences
from tests.support.media.sounds import Wave, film, joined, measured, silence, tone

EDGE_SECONDS = 0.0105  # a hop, and the rounding of timestamps
_SINE_DB = 3.01  # by which the root mean square of a sine lies below its peak

Spans = list[tuple[float, float]]


@dataclass(frozen=True)
class Case:
    """Audio, and the silences that a listener with a meter would note."""

    name: str
    wave: Callable[[], Wave]
    spans: Spans
    options: SilenceOptions = field(default_factory=SilenceOptions)
    begins_seconds: float = 0.0
    pictures_seconds: float | None = None


def loud(seconds: float) -> Wave:
    return tone(seconds, -20)


def one_channel_silent() -> Wave:
    wave = loud(3)
    wave[1] = 0
    return wave


def out_of_phase() -> Wave:
    left, right = loud(3)
    return np.stack([left, -right])


def clicking() -> Wave:
    """Silence but for a click of 1 ms in its middle."""
    return joined(loud(0.5), silence(1), tone(0.001, -6, hz=2000), silence(0.999), loud(0.5))


CASES = [
    Case("between two sounds", lambda: joined(loud(1), silence(0.7), loud(1)), [(1, 1.7)]),
    Case("at the beginning and the end", lambda: joined(silence(1), loud(1), silence(1)), [(0, 1), (2, 3)]),
    Case("too short to count", lambda: joined(loud(1), silence(0.45), loud(1)), []),
    Case("of just the length that counts", lambda: joined(loud(1), silence(0.5), loud(1)), [(1, 1.5)]),
    Case("shorter where that is asked for", lambda: joined(loud(1), silence(0.2), loud(1)), [(1, 1.2)],
         options=SilenceOptions(min_seconds=0.15)),
    Case("just below the threshold", lambda: joined(loud(1), tone(1, -51 + _SINE_DB), loud(1)), [(1, 2)]),
    Case("just above the threshold", lambda: joined(loud(1), tone(1, -49 + _SINE_DB), loud(1)), []),
    Case("above a lower threshold", lambda: joined(loud(1), tone(1, -51 + _SINE_DB), loud(1)), [],
         options=SilenceOptions(threshold_dbfs=-60.0)),
    Case("one channel sounds", one_channel_silent, []),
    Case("channels that cancel each other in a mix", out_of_phase, []),
    Case("a click divides it", clicking, [(0.5, 1.5), (1.5, 2.5)]),
    Case("the sound begins late", lambda: loud(2), [(0, 0.8)], begins_seconds=0.8, pictures_seconds=2.8),
    Case("the sound ends early", lambda: loud(2), [(2, 3.2)], pictures_seconds=3.2),
    Case("the sound goes on after the pictures", lambda: joined(loud(1), silence(2), loud(1)), [(1, 3)],
         pictures_seconds=2.2),
    Case("silence from before the first picture", lambda: joined(silence(1.5), loud(1)), [(0, 1.5)],
         begins_seconds=-0.8, pictures_seconds=1.7),
    Case("digital silence", lambda: silence(2), [(0, 2)]),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_silences_are_found_where_they_are(case: Case, tmp_path: Path) -> None:
    # Given a video with this audio
    path = film(
        tmp_path / "film.mov", case.wave(), begins_seconds=case.begins_seconds, pictures_seconds=case.pictures_seconds
    )

    # When it is measured
    result = measured(path, silences=case.options)
    found = [(span["start_seconds"], span["end_seconds"]) for span in result["audio"]["silences"]]

    # Then each silence is there, within a hop, and nothing lies outside of the video
    assert len(found) == len(case.spans), found
    for (start, end), (true_start, true_end) in zip(found, case.spans, strict=True):
        assert (start, end) == pytest.approx((true_start, true_end), abs=EDGE_SECONDS)
        assert 0 <= start < end <= result["source"]["duration_seconds"]


def test_digital_silence_has_no_levels(tmp_path: Path) -> None:
    # Given a video that is silent from end to end
    path = film(tmp_path / "film.mov", silence(4))

    # When it is measured
    audio = measured(path)["audio"]

    # Then nothing is said of its loudness, rather than a very low number
    levels = ("integrated", "loudness_range", "true_peak", "max_momentary", "max_short_term", "bass_percent")
    assert {name: value for name, value in audio.items() if name.startswith(levels)} == {
        "integrated_lufs": None,
        "loudness_range_lu": None,
        "true_peak_dbtp": None,
        "max_momentary_lufs": None,
        "max_short_term_lufs": None,
        "bass_percent": None,
    }


@pytest.mark.parametrize(("later_hop", "silence"), [(100, (0.0, 1.0)), (None, (0.0, 2.0))], ids=["a gap", "the end"])
def test_silence_that_begins_before_the_video_counts_from_its_beginning(
    later_hop: int | None, silence: tuple[float, float]
) -> None:
    # Given audio that breaks off 1.5 s before the video begins, and goes on 1 s after that or never
    silences = Silences(SilenceOptions())
    for hop in (-200,) if later_hop is None else (-200, later_hop):
        silences.process(Chunk(hop, 50, 4000, ("FC",), np.full((1, 2000), 0.5, np.float32)))

    # When the video of 1.5 s or 2 s ends
    silences.finish(1.5 if later_hop else 2.0)

    # Then the silence has no part before the video
    assert silences.spans == [Span(start_seconds=silence[0], end_seconds=silence[1])]
