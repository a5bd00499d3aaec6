"""Results to export, whose frames are known, at all rates and from all timecodes."""

import itertools
import json
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from clipzy_api.exports import Document, document_of

NTSC = Fraction(1000, 1001)
RATES: dict[str, tuple[Fraction, bool]] = {
    "23.976": (24 * NTSC, False),
    "24": (Fraction(24), False),
    "25": (Fraction(25), False),
    "29.97 DF": (30 * NTSC, True),
    "29.97 NDF": (30 * NTSC, False),
    "30": (Fraction(30), False),
    "50": (Fraction(50), False),
    "59.94 DF": (60 * NTSC, True),
    "60": (Fraction(60), False),
}
"""Each with whether its timecode is drop frame."""
SHOTS = (0, 1, 37, 90, 1799, 1800, 17982, 18000, 40_001)
"""Frames at which shots begin, and where the last one ends: around the numbers that drop frame leaves out."""
CLIPS = ((0, 90), (89, 91), (1799, 17_983), (39_000, 40_001))


def output(
    rate: Fraction = Fraction(25),
    *,
    timecode: str | None = None,
    shots: Sequence[int] = SHOTS,
    clips: Sequence[tuple[int, int]] = CLIPS,
    first_frame_seconds: float = 0.0,
    **source: Any,
) -> dict[str, Any]:
    """An ``output.json`` with these frames, its times rounded as a worker rounds them."""

    def seconds(frame: int) -> float:
        return round(float(frame / rate) + first_frame_seconds, 6)

    facts = {
        "filename": "holiday.mp4",
        "duration_seconds": seconds(shots[-1]),
        "first_frame_seconds": first_frame_seconds,
        "width": 1920,
        "height": 1080,
        "frame_rate": round(float(rate), 6),
        "audio_codec": "aac",
        "timecode": timecode,
    }
    return {
        "job_id": "job_x",
        "source": facts | source,
        "shots": [
            {
                "index": index,
                "start_seconds": seconds(start),
                "end_seconds": seconds(end),
                "transition": "cut" if index else "start",
            }
            for index, (start, end) in enumerate(itertools.pairwise(shots))
        ],
        "clips": [_clip(index, seconds, *span) for index, span in enumerate(clips)],
    }


def document(*arguments: Any, **changes: Any) -> Document:
    return read(output(*arguments, **changes))


def read(result: dict[str, Any]) -> Document:
    return document_of(json.dumps(result).encode())


def _clip(index: int, seconds: Any, start: int, end: int) -> dict[str, Any]:
    return {
        "index": index,
        "rank": index + 1,
        "start_seconds": seconds(start),
        "end_seconds": seconds(end),
        "start_frame": start,
        "end_frame": end,
        "duration_seconds": round(seconds(end) - seconds(start), 6),
        "shots": [0, 1],
        "profile": "action",
        "score": 81.5,
        "parts": [{"name": "motion", "value": 0.9, "weight": 0.9, "points": 81.5}],
    }
