"""Writes what players and pages show of the sound."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from clipzy_worker.analyse.gating import FLOOR_LUFS, STEPS_PER_SECOND, Powers
from clipzy_worker.analyse.meter import Meter
from clipzy_worker.analyse.sound_picture import draw
from clipzy_worker.analyse.waveform import Waveform

WAVEFORM, CURVES, PICTURE = "waveform.json", "loudness.json", "waveform.png"
MAX_CURVE_POINTS = 20_000

_DECIMALS = 2


def write_artifacts(folder: Path, waveform: Waveform, meter: Meter, *, end_seconds: float) -> list[dict[str, Any]]:
    """Three files, as ``Sound.artifacts`` lists them. Raises ``OSError``."""
    momentary, short_term = meter.curves(end_seconds)
    _write_json(folder / WAVEFORM, waveform.document(end_seconds))
    _write_json(folder / CURVES, _curves(momentary, short_term))
    _, png = cv2.imencode(".png", draw(waveform.points(end_seconds), momentary))
    (folder / PICTURE).write_bytes(png.tobytes())
    return [
        {"file": WAVEFORM, "kind": "waveform", "content_type": "application/json"},
        {"file": CURVES, "kind": "curves", "content_type": "application/json"},
        {"file": PICTURE, "kind": "waveform_picture", "content_type": "image/png"},
    ]


def _curves(momentary: Powers, short_term: Powers) -> dict[str, Any]:
    """Value ``i`` is the loudest of the windows that end up to ``(i + 1) * step_seconds``, since the value before."""
    steps = -(-len(momentary) // MAX_CURVE_POINTS) or 1
    return {
        "step_seconds": steps / STEPS_PER_SECOND,
        "momentary_lufs": _coarse(momentary, steps),
        "short_term_lufs": _coarse(short_term, steps),
    }


def _coarse(levels: Powers, steps: int) -> list[float | None]:
    padded = np.append(levels, np.full(-len(levels) % steps, FLOOR_LUFS))
    loudest = padded.reshape(-1, steps).max(axis=1).round(_DECIMALS).tolist()
    return [level if level > FLOOR_LUFS else None for level in loudest]


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n")
