"""How far a description of style may be trusted. Pure."""

from typing import Any

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
