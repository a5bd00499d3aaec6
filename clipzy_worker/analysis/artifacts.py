"""Writes the files that players and pages show: images of the video, motion and loudness curves, the waveform."""

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from clipzy_storage.models.analysis import ArtifactFile
from clipzy_worker.analysers.audio.loudness import FLOOR_LUFS, STEPS_PER_SECOND, LoudnessMeter, Powers
from clipzy_worker.analysers.audio.waveform import Waveform
from clipzy_worker.analysers.audio.waveform_image import draw
from clipzy_worker.analysers.images.contact_sheet import write_contact_sheet
from clipzy_worker.analysers.images.jpeg import write_jpeg
from clipzy_worker.analysers.images.poster import Draft
from clipzy_worker.analysis.frame_analysers import FrameAnalysers
from clipzy_worker.decode.decoded_pixels import DecodedPixels
from clipzy_worker.decode.still import decoded_again
from clipzy_worker.sandbox.request import MediaRequest

MAX_CURVE_POINTS = 20_000

_POSTER, _CONTACT_SHEET, _MOTION = "poster.jpg", "contact-sheet.jpg", "motion.json"
_WAVEFORM, _LOUDNESS, _WAVEFORM_IMAGE = "waveform.json", "loudness.json", "waveform.png"
_JPEG, _PNG, _JSON = "image/jpeg", "image/png", "application/json"
_LEVEL_DECIMALS = 2


def write_images(
    analysers: FrameAnalysers, request: MediaRequest, decoded: DecodedPixels, *, zero: Fraction
) -> list[ArtifactFile]:
    """Write the images that are not written yet, and list all; ``decoded`` counts what that decodes.

    ``zero`` is the time 0 of the pass on the container's clock.

    Raises ``OSError``.
    """
    artifacts = []
    if analysers.poster.draft is not None:
        _write_poster(analysers.poster.draft, request, decoded, zero=zero)
        artifacts.append(ArtifactFile(file=_POSTER, kind="poster", content_type=_JPEG))
    if analysers.thumbnails is not None and (written := analysers.thumbnails.written):
        artifacts += [thumbnail.artifact() for thumbnail in written]
        write_contact_sheet(request.out_directory, _CONTACT_SHEET, written)
        artifacts.append(ArtifactFile(file=_CONTACT_SHEET, kind="contact_sheet", content_type=_JPEG))
    return artifacts + (analysers.sprites.artifacts if analysers.sprites else [])


def _write_poster(draft: Draft, request: MediaRequest, decoded: DecodedPixels, *, zero: Fraction) -> None:
    final = None
    if not draft.is_key:  # the loop filter is never left out of a reference for others
        height, width = draft.pixels.shape[:2]
        at = zero + Fraction(draft.seconds).limit_denominator(1_000_000)
        final = decoded_again(request, at, (width, height), decoded=decoded)
    write_jpeg(request.out_directory / _POSTER, draft.pixels if final is None else final)


def write_curves(analysers: FrameAnalysers, request: MediaRequest) -> list[ArtifactFile]:
    """Write and list the curves of the video. Raises ``OSError``."""
    if analysers.motions is None:
        return []
    curve = {"step_seconds": analysers.motions.step_seconds, "intensity": analysers.motions.intensities}
    (request.out_directory / _MOTION).write_text(json.dumps(curve))
    return [ArtifactFile(file=_MOTION, kind="curves", content_type=_JSON)]


def write_audio_artifacts(
    out_directory: Path, waveform: Waveform, meter: LoudnessMeter, *, end_seconds: float
) -> list[ArtifactFile]:
    """Write and list the waveform, the loudness curves and an image of both. Raises ``OSError``."""
    momentary, short_term = meter.curves(end_seconds)
    _write_json(out_directory / _WAVEFORM, waveform.document(end_seconds))
    _write_json(out_directory / _LOUDNESS, _loudness_curves(momentary, short_term))
    _, png = cv2.imencode(".png", draw(waveform.points(end_seconds), momentary))
    (out_directory / _WAVEFORM_IMAGE).write_bytes(png.tobytes())
    return [
        ArtifactFile(file=_WAVEFORM, kind="waveform", content_type=_JSON),
        ArtifactFile(file=_LOUDNESS, kind="curves", content_type=_JSON),
        ArtifactFile(file=_WAVEFORM_IMAGE, kind="waveform_picture", content_type=_PNG),
    ]


def _loudness_curves(momentary: Powers, short_term: Powers) -> dict[str, float | list[float | None]]:
    """Value ``i`` is the maximum of the windows that end within the step up to ``(i + 1) * step_seconds``."""
    steps = -(-len(momentary) // MAX_CURVE_POINTS) or 1
    return {
        "step_seconds": steps / STEPS_PER_SECOND,
        "momentary_lufs": _maxima(momentary, steps),
        "short_term_lufs": _maxima(short_term, steps),
    }


def _maxima(levels: Powers, steps: int) -> list[float | None]:
    padded = np.append(levels, np.full(-len(levels) % steps, FLOOR_LUFS))
    loudest = padded.reshape(-1, steps).max(axis=1).round(_LEVEL_DECIMALS).tolist()
    return [level if level > FLOOR_LUFS else None for level in loudest]


def _write_json(path: Path, document: Mapping[str, object]) -> None:
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n")
