"""Style DNA: what the measurements of one film say of its style. Pure; each field is explained in docs/style-dna.md."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from clipzy_storage.models.measurements import ColorGrade

QUIETEST_LUFS, LOUDEST_LUFS = -36.0, -6.0
UNCOMPRESSED_RANGE_LU = 20.0  # of film and concert sound as it was mixed for a quiet room
NAMED_SHAPES = {"16:9": 16 / 9, "9:16": 9 / 16, "1:1": 1.0, "4:3": 4 / 3, "21:9": 64 / 27}
SHAPE_TOLERANCE = 0.015  # 2.39:1, 2.35:1 and 64:27 are all sold as 21:9; 1.375:1 is not 4:3


def extract(measured: dict[str, Any], *, damaged: bool) -> dict[str, Any]:
    """The ``style`` of ``output.json`` from its other parts, but for ``created_at``, which is the job's."""
    source, shots = measured["source"], measured["shots"]
    audio, motion, color = (measured.get(part) for part in ("audio", "motion", "color"))
    cuts = [shot["start_seconds"] for shot in shots if shot["transition"] != "start"]
    primary, secondary = ranked_transitions(shots)
    return {
        "color_grade": color and {name: color[name] for name in ColorGrade.model_fields},
        "aspect_ratio": aspect_ratio(source["width"], source["height"]),
        "frame_rate": source["frame_rate"],
        "audio_style": audio_style(audio),
        "cut_frequency": round(60 * len(cuts) / source["duration_seconds"], 2),
        "motion_intensity": motion and motion["intensity"],
        "zoom_usage": motion and motion["zoom_percent"],
        "primary_transition": primary,
        "secondary_transition": secondary,
        "detected_beats": [
            {
                "timestamp_ms": round(beat["time_seconds"] * 1000),
                "confidence": beat["confidence"],
                "frequency": beat["band"],
            }
            for beat in (audio or {}).get("beats", [])
        ],
        "tempo_bpm": audio and audio["tempo_bpm"],
        "beat_sync": beat_sync(cuts, [beat["time_seconds"] for beat in audio["beats"]]) if audio else None,
        "source_duration_seconds": source["duration_seconds"],
        "extraction_confidence": extraction_confidence(measured, damaged=damaged),
    }


def aspect_ratio(width: int, height: int) -> str:
    """The name of the shape, or else the exact ratio in its lowest terms."""
    shape = width / height
    for name, value in NAMED_SHAPES.items():
        if abs(shape / value - 1) <= SHAPE_TOLERANCE:
            return name
    divisor = math.gcd(width, height)
    return f"{width // divisor}:{height // divisor}"


def audio_style(audio: dict[str, Any] | None) -> dict[str, Any]:
    if audio is None:
        return dict.fromkeys(("normalization_level", "compression_ratio", "bass_boost", "speech_ratio"))
    return {
        "normalization_level": normalization_level(audio["integrated_lufs"]),
        "compression_ratio": compression_ratio(audio["loudness_range_lu"]),
        "bass_boost": audio["bass_percent"],
        "speech_ratio": audio["speech_ratio"],
    }


def normalization_level(integrated_lufs: float | None) -> float | None:
    """From 0 at -36 LUFS to 1 at -6 LUFS, in proportion."""
    if integrated_lufs is None:
        return None
    return round(min(max((integrated_lufs - QUIETEST_LUFS) / (LOUDEST_LUFS - QUIETEST_LUFS), 0.0), 1.0), 3)


def compression_ratio(loudness_range_lu: float | None) -> float | None:
    """How many times smaller the loudness range is than that of uncompressed sound; 1 is none.

    Without any range there is nothing to compare: a tone or a short beep is not compressed music.
    """
    if not loudness_range_lu:
        return None
    return round(max(UNCOMPRESSED_RANGE_LU / loudness_range_lu, 1.0), 2)


LONG_ENOUGH_SECONDS = 30.0
MANY_SHOTS = 5
WITHOUT_SOUND = 0.75
DAMAGED = 0.7
_PARTS = ("color", "motion")
_WITHOUT_PART = 0.8


def extraction_confidence(measured: dict[str, Any], *, damaged: bool) -> float:
    """From 0 to 1: the product of one factor for each reason to doubt.

    Short (below 30 s, in proportion down to a half), of few shots (below 5, down to 0.7 for one), silent or without
    sound, damaged, and each part that was not asked for or could not be measured.
    """
    factors = [
        0.5 + 0.5 * min(measured["source"]["duration_seconds"] / LONG_ENOUGH_SECONDS, 1.0),
        0.7 + 0.3 * min((len(measured["shots"]) - 1) / (MANY_SHOTS - 1), 1.0),
        1.0 if (measured.get("audio") or {}).get("integrated_lufs") is not None else WITHOUT_SOUND,
        DAMAGED if damaged else 1.0,
        *(1.0 if measured.get(part) else _WITHOUT_PART for part in _PARTS),
    ]
    product = 1.0
    for factor in factors:
        product *= factor
    return round(product, 3)


NEAR_SECONDS = 0.1
MIN_CUTS = 4  # fewer fall where they will
MIN_BEATS = 4


def beat_sync(cuts: Sequence[float], beats: Sequence[float]) -> float | None:
    """Share of the cuts within 100 ms of a beat, above what chance would give: 0 is chance or less, 1 is all of them.

    Only cuts between the first and the last beat count. ``None`` where there are too few of either, or where beats
    come so fast that every moment is near one.
    """
    if len(beats) < MIN_BEATS:
        return None
    inside = [cut for cut in cuts if beats[0] - NEAR_SECONDS <= cut <= beats[-1] + NEAR_SECONDS]
    chance = _share_near(beats)
    if len(inside) < MIN_CUTS or chance > 0.9:
        return None
    hits = sum(_distance(cut, beats) <= NEAR_SECONDS for cut in inside) / len(inside)
    return round(max((hits - chance) / (1 - chance), 0.0), 3)


def _share_near(beats: Sequence[float]) -> float:
    """Which share of the time between the first beat and the last lies near one."""
    near = sum(min(later - earlier, 2 * NEAR_SECONDS) for earlier, later in pairwise(beats))
    return (near + 2 * NEAR_SECONDS) / (beats[-1] - beats[0] + 2 * NEAR_SECONDS)


def _distance(moment: float, beats: Sequence[float]) -> float:
    place = bisect_left(beats, moment)
    return min(abs(beat - moment) for beat in beats[max(place - 1, 0) : place + 1])


_ORDER = ("cut", "dissolve", "fade")  # where two are as common


def ranked_transitions(shots: list[dict[str, Any]]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The commonest and the second commonest, each with the median of its durations; ``None`` where there is none."""
    durations: dict[str, list[float]] = {}
    for shot in shots:
        if shot["transition"] != "start":
            durations.setdefault(shot["transition"], []).append(shot["transition_seconds"])
    ranked = sorted(durations, key=lambda kind: (-len(durations[kind]), _ORDER.index(kind)))
    styles = [{"type": kind, "duration_ms": round(median(durations[kind]) * 1000)} for kind in ranked]
    first, second, *_ = [*styles, None, None]
    return first, second
