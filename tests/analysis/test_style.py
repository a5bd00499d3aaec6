"""What measurements say of a style."""

from typing import Any

import pytest

from clipzy_storage.models.style_dna import StyleDna
from clipzy_worker.style.extract import (
    aspect_ratio,
    beat_sync,
    compression_ratio,
    extract,
    normalization_level,
    ranked_transitions,
)

GRADE = dict.fromkeys(("temperature", "tint", "saturation", "contrast", "highlights", "shadows"), 5.0)


def shots(*transitions: tuple[str, float]) -> list[dict[str, Any]]:
    """A shot each second, beginning as told, with so many seconds of transition."""
    return [
        {"start_seconds": float(i), "transition": kind, "transition_seconds": seconds}
        for i, (kind, seconds) in enumerate((("start", 0.0), *transitions))
    ]


def measured(**parts: Any) -> dict[str, Any]:
    source = {"width": 1920, "height": 1080, "frame_rate": 25.0, "duration_seconds": 60.0}
    audio = {
        "integrated_lufs": -21.0,
        "loudness_range_lu": 5.0,
        "bass_percent": 30.0,
        "speech_ratio": 0.25,
        "tempo_bpm": 120.0,
        "beats": [{"time_seconds": 0.5 * i, "confidence": 0.9, "band": "bass"} for i in range(100)],
    }
    whole = {
        "source": source,
        "shots": shots(*[("cut", 0.0)] * 5),
        "audio": audio,
        "motion": {"intensity": 40.0, "zoom_percent": 10.0},
        "color": {**GRADE, "brightness": 50.0, "dominant": [], "letterbox": None},
    }
    return whole | parts


def test_a_film_with_everything_has_a_whole_description() -> None:
    # Given a film of a minute with sound and five cuts, all of it measured
    # When its style is extracted, Then it is a Style DNA without a gap
    style = StyleDna(**extract(measured(), damaged=False), created_at="2026-01-01T00:00:00.000Z")
    assert style.cut_frequency == 5.0
    assert style.aspect_ratio == "16:9"
    assert style.audio_style.normalization_level == 0.5
    assert style.audio_style.compression_ratio == 4.0
    assert style.color_grade is not None
    assert style.color_grade.tint == 5.0
    assert style.detected_beats[1].timestamp_ms == 500
    assert style.beat_sync == 1.0
    assert style.primary_transition is not None
    assert (style.primary_transition.type, style.secondary_transition) == ("cut", None)
    assert style.extraction_confidence == 1.0


def test_what_was_not_measured_is_null() -> None:
    # Given a film without sound, of which neither motion nor colour was asked for
    found = extract(measured(audio=None, motion=None, color=None), damaged=False)

    # When its style is extracted, Then nothing of it is made up
    style = StyleDna(**found, created_at="2026-01-01T00:00:00.000Z")
    assert (style.color_grade, style.motion_intensity, style.zoom_usage) == (None, None, None)
    assert set(style.audio_style.model_dump().values()) == {None}
    assert (style.tempo_bpm, style.beat_sync, style.detected_beats) == (None, None, [])


@pytest.mark.parametrize(
    "doubt",
    [
        {"audio": None},
        {"motion": None},
        {"color": None},
        {"shots": shots()},
        {"source": {"width": 640, "height": 360, "frame_rate": 25.0, "duration_seconds": 3.0}},
    ],
    ids=["no sound", "no motion", "no colour", "one shot", "short"],
)
def test_each_reason_to_doubt_lowers_the_confidence(doubt: dict[str, Any]) -> None:
    assert 0 < extract(measured(**doubt), damaged=False)["extraction_confidence"] < 0.95
    whole, damaged = (extract(measured(**doubt), damaged=damage)["extraction_confidence"] for damage in (False, True))
    assert damaged < whole


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
        {"type": "dissolve", "duration_ms": 1000},
        {"type": "fade", "duration_ms": 800},
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
