"""The stages over one file, in order: the shared decode with all who watch and listen, then what they make of it."""

from typing import Any

import cv2

from clipzy_worker.analysis.audio_pass import Sound
from clipzy_worker.analysis.demux import Decoding
from clipzy_worker.analysis.timings import Clock
from clipzy_worker.analysis.video_pass import Watch
from clipzy_worker.analysis.warnings import is_damaged, warnings_about
from clipzy_worker.decode.source import Source, open_source, size_bytes_of
from clipzy_worker.sandbox.protocol import Report
from clipzy_worker.sandbox.request import MediaRequest
from clipzy_worker.stages import AUDIO_ANALYSIS, MOTION_ANALYSIS, STYLE_EXTRACTION, VIDEO_ANALYSIS
from clipzy_worker.style.extract import extract


def analyse(request: MediaRequest, report: Report) -> dict[str, Any]:
    """All that is measured in one file, as ``output.json`` shows it; its artifacts lie in the ``out_folder``.

    Raises:
        InvalidMedia: there is no video in it, none that can be decoded, or more of it than is accepted.
        StorageUnavailable: the file cannot be read, whatever is in it.
        OSError: an artifact could not be written.
    """
    cv2.setNumThreads(1)
    clock = Clock()
    with open_source(request) as source:
        sound = _sound(source, request, clock)
        decoding = Decoding(source, limits=request.limits, size_bytes=size_bytes_of(request.source), sound=sound)
        watch = Watch(source, request, clock)
        with clock.charged(VIDEO_ANALYSIS.name, rest_to="decode"):
            for seconds, decoded in decoding:
                watch.process(seconds, decoded)
                report.progress(VIDEO_ANALYSIS, decoding.fraction)
            watch.finish_shots(float(decoding.end_seconds))
        report.progress(AUDIO_ANALYSIS, 0.0)
        audio = _heard(sound, float(decoding.end_seconds), clock)
        report.progress(MOTION_ANALYSIS, 0.0)
        with clock.charged(MOTION_ANALYSIS.name):
            watch.finish(float(decoding.end_seconds))
        result = watch.result(decoding) | {"audio": audio, "warnings": warnings_about(source, decoding, sound)}
        result["artifacts"] += sound.artifacts if sound else []
        damaged = is_damaged(decoding, sound)
    report.progress(STYLE_EXTRACTION, 0.0)
    if "style" in request.config.analyses:
        with clock.charged(STYLE_EXTRACTION.name):
            result["style"] = extract(result, damaged=damaged)
    return result | {"timings": {name: round(spent, 3) for name, spent in clock.spent.items()}}


def _sound(source: Source, request: MediaRequest, clock: Clock) -> Sound | None:
    if source.audio is None or "audio" not in request.config.analyses:
        return None
    return Sound(source.audio, origin=source.origin, clock=clock, request=request)


def _heard(sound: Sound | None, end_seconds: float, clock: Clock) -> dict[str, Any] | None:
    if sound is None:
        return None
    with clock.charged(AUDIO_ANALYSIS.name):
        sound.finish(end_seconds)
        return sound.result()
