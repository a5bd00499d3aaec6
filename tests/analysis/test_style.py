"""What measurements say of a style."""

from typing import Any

import pytest

from clipzy_storage.models.measurements import Audio, Beat, Color, Motion
from clipzy_storage.models.output import Shot, Transition, VideoFacts
from clipzy_storage.models.style_dna import MeasuredStyle, StyleDna, TransitionStyle
from clipzy_worker.style.extract import (
    aspect_ratio,
    beat_sync,
    compression_ratio,
    extract,
    normalization_level,
    ranked_transitions,
)

GRADE = dict.fromkeys(("temperature", "tint", "saturation", "contrast", "highlights", "shadows"), 5.0)


def shots(*transitions: tuple[Transition, float]) -> list[Shot]:
    """One shot per second; the first begins with the video, the others with these transitions of so many seconds."""
    return [
        Shot(index=i, start_seconds=i, end_seconds=i + 1, transition=kind, transition_seconds=seconds)
        for i, (kind, seconds) in enumerate((("start", 0.0), *transitions))
    ]


def facts(*, width: int = 1920, height: int = 1080, duration_seconds: float = 60.0) -> VideoFacts:
    return VideoFacts(
        duration_seconds=duration_seconds,
        width=width,
        height=height,
        frame_rate=25.0,
        video_codec="h264",
        audio_codec="aac",
    )


CUTS: list[tuple[Transition, float]] = [("cut", 0.0)] * 5
AUDIO = Audio(
    channels=2,
    sample_rate_hz=48_000,
    integrated_lufs=-21.0,
    loudness_range_lu=5.0,
    true_peak_dbtp=-1.0,
    max_momentary_lufs=-15.0,
    max_short_term_lufs=-18.0,
    tempo_bpm=120.0,
    beats=[Beat(time_seconds=0.5 * i, confidence=0.9, band="bass") for i in range(100)],
    silences=[],
    speech=[],
    speech_ratio=0.25,
    bass_percent=30.0,
)


def style(*, damaged: bool = False, **parts: Any) -> MeasuredStyle:
    """That of a minute of video in which everything was measured, but for these parts."""
    measured: dict[str, Any] = {
        "source": facts(),
        "shots": shots(*CUTS),
        "audio": AUDIO,
        "motion": Motion(intensity=40.0, zoom_percent=10.0),
        "color": Color(**GRADE, brightness=50.0, dominant=[], letterbox=None),
    }
    return extract(**measured | parts, damaged=damaged)


def test_a_video_with_everything_has_a_whole_description() -> None:
    # Given a video of a minute with audio and five cuts, all of it measured
    # When its style is extracted, Then it is a Style DNA without a gap
    found = StyleDna.of(style(), created_at="2026-01-01T00:00:00.000Z")
    assert found.created_at == "2026-01-01T00:00:00.000Z"
    assert found.cut_frequency == 5.0
    assert found.aspect_ratio == "16:9"
    assert found.audio_style.normalization_level == 0.5
    assert found.audio_style.compression_ratio == 4.0
    assert found.color_grade is not None
    assert found.color_grade.tint == 5.0
    assert found.detected_beats[1].timestamp_ms == 500
    assert found.beat_sync == 1.0
    assert found.primary_transition is not None
    assert (found.primary_transition.type, found.secondary_transition) == ("cut", None)
    assert found.extraction_confidence == 1.0


def test_what_was_not_measured_is_null() -> None:
    # Given a video without audio, of which neither motion nor colour was asked for
    found = style(audio=None, motion=None, color=None)

    # When its style is extracted, Then nothing of it is made up
    assert (found.color_grade, found.motion_intensity, found.zoom_usage) == (None, None, None)
    assert set(found.audio_style.model_dump().values()) == {None}
    assert (found.tempo_bpm, found.beat_sync, found.detected_beats) == (None, None, [])


@pytest.mark.parametrize(
    "doubt",
    [
        {"audio": None},
        {"motion": None},
        {"color": None},
        {"shots": shots()},
        {"source": facts(duration_seconds=3.0)},
    ],
    ids=["no sound", "no motion", "no colour", "one shot", "short"],
)
def test_each_reason_to_doubt_lowers_the_confidence(doubt: dict[str, Any]) -> None:
    whole, damaged = (style(**doubt, damaged=damage).extraction_confidence for damage in (False, True))
    assert 0 < damaged < whole < 0.95


@pytest.mark.parametrize(
    ("size", "name"),
    [
        ((1920, 1080), "16:9"),
        ((1366, 768), "16:9"),
        ((1080, 1920), "9:16"),
        ((720, 720), "1:1"),
        ((640, 480), "4:3"),
        ((2560, 1080), "21:9"),
        ((1920, 800), "21:9"),
        ((1920, 768), "5:2"),
        ((1920, 816), "21:9"),
        ((1000, 700), "10:7"),
    ],
)
def test_shapes_have_their_names(size: tuple[int, int], name: str) -> None:
    assert aspect_ratio(*size) == name


@pytest.mark.parametrize(
    ("lufs", "level"), [(-36.0, 0.0), (-50.0, 0.0), (-21.0, 0.5), (-6.0, 1.0), (0.0, 1.0), (None, None)]
)
def test_loudness_lies_between_its_ends(lufs: float | None, level: float | None) -> None:
    assert normalization_level(lufs) == level


@pytest.mark.parametrize(("range_lu", "ratio"), [(20.0, 1.0), (30.0, 1.0), (5.0, 4.0), (0.0, None), (None, None)])
def test_a_small_range_is_strong_compression(range_lu: float | None, ratio: float | None) -> None:
    assert compression_ratio(range_lu) == ratio


def test_transitions_are_ranked_by_how_often_they_come() -> None:
    # Given more dissolves than fades, of various lengths
    film = shots(("fade", 0.8), ("dissolve", 0.4), ("dissolve", 1.2), ("dissolve", 1.0))

    # When they are ranked, Then each kind has its place and its median duration
    assert ranked_transitions(film) == (
        TransitionStyle(type="dissolve", duration_ms=1000),
        TransitionStyle(type="fade", duration_ms=800),
    )
    assert ranked_transitions(shots()) == (None, None)


BEATS = [0.5 * i for i in range(41)]


@pytest.mark.parametrize(
    ("cuts", "beats", "sync"),
    [
        ([2.0, 4.05, 6.0, 9.95], BEATS, 1.0),
        ([2.25, 4.25, 6.25, 8.25], BEATS, 0.0),
        ([2.0, 4.0, 6.25, 8.25], BEATS, pytest.approx(0.167, abs=0.02)),  # half of them, where chance gives 0.4
        ([2.0, 4.0, 6.0], BEATS, None),
        ([2.0, 4.0, 6.0, 8.0], [], None),
        ([2.0, 4.0, 6.0, 8.0], [0.2 * i for i in range(100)], None),  # every moment is near a beat
        ([30.0, 31.0, 32.0, 33.0], BEATS, None),  # the music has ended before
    ],
)
def test_cuts_on_beats(cuts: list[float], beats: list[float], sync: float | None) -> None:
    assert beat_sync(cuts, beats) == sync
