"""Writes what players and pages show of the sound."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from clipzy_worker.analysers.audio.loudness import FLOOR_LUFS, STEPS_PER_SECOND, LoudnessMeter, Powers
from clipzy_worker.analysers.audio.waveform import Waveform
from clipzy_worker.analysers.audio.waveform_image import draw
from clipzy_worker.analysers.images.contact_sheet import write_contact_sheet
from clipzy_worker.analysers.images.jpeg import write_jpeg
from clipzy_worker.analysers.images.poster import Draft
from clipzy_worker.analysis.frame_analysers import Analysers
from clipzy_worker.decode.still import repainted
from clipzy_worker.sandbox.request import MediaRequest

WAVEFORM, CURVES, PICTURE = "waveform.json", "loudness.json", "waveform.png"
MAX_CURVE_POINTS = 20_000

_DECIMALS = 2


def write_artifacts(
    folder: Path, waveform: Waveform, meter: LoudnessMeter, *, end_seconds: float
) -> list[dict[str, Any]]:
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


_POSTER = "poster.jpg"
_CONTACT_SHEET = "contact-sheet.jpg"


def write_stills(analysers: Analysers, request: MediaRequest) -> list[dict[str, Any]]:
    """Write what is not written yet, and list all. Raises ``OSError``."""
    artifacts = []
    if analysers.poster.draft is not None:
        _write_poster(analysers.poster.draft, request)
        artifacts.append({"file": _POSTER, "kind": "poster", "content_type": "image/jpeg"})
    if analysers.thumbnails is not None and (written := analysers.thumbnails.written):
        artifacts += [thumbnail.artifact() for thumbnail in written]
        write_contact_sheet(request.out_folder, _CONTACT_SHEET, written)
        artifacts.append({"file": _CONTACT_SHEET, "kind": "contact_sheet", "content_type": "image/jpeg"})
    return artifacts + (analysers.sprites.artifacts if analysers.sprites else [])


def _write_poster(draft: Draft, request: MediaRequest) -> None:
    height, width = draft.pixels.shape[:2]
    careful = repainted(request, draft.seconds, (width, height))
    write_jpeg(request.out_folder / _POSTER, draft.pixels if careful is None else careful)


_MOTION = "motion.json"


def write_curves(analysers: Analysers, request: MediaRequest) -> list[dict[str, Any]]:
    """Write and list them. Raises ``OSError``."""
    if analysers.motions is None:
        return []
    (request.out_folder / _MOTION).write_text(json.dumps(analysers.motions.curve))
    return [{"file": _MOTION, "kind": "curves", "content_type": "application/json"}]
