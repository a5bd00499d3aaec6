"""Style DNA: what the measurements of one film say of its style. Pure; each field is explained in docs/style-dna.md."""

import math
from typing import Any

from clipzy_storage.measurements import ColorGrade
from clipzy_worker.style.confidence import extraction_confidence
from clipzy_worker.style.sync import beat_sync
from clipzy_worker.style.transitions import ranked_transitions

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
