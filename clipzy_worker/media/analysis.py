"""The stages over one file, in order: the shared decode with all who watch and listen, then what they make of it."""

from typing import Any

import cv2

from clipzy_worker.media.clock import Clock
from clipzy_worker.media.frames import Decoding
from clipzy_worker.media.report import Report
from clipzy_worker.media.request import MediaRequest
from clipzy_worker.media.sound import Sound
from clipzy_worker.media.source import Source, open_source, size_bytes_of
from clipzy_worker.media.watch import Watch
from clipzy_worker.pipeline import AUDIO_ANALYSIS, MOTION_ANALYSIS, STYLE_EXTRACTION, VIDEO_ANALYSIS
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
        with clock.charged(VIDEO_ANALYSIS.name):
            for seconds, decoded in decoding:
                watch.process(seconds, decoded)
                report.progress(VIDEO_ANALYSIS, decoding.fraction)
            end_seconds = float(decoding.end_seconds)
            watch.finish_shots(end_seconds)
        whole = clock.spent[VIDEO_ANALYSIS.name]
        clock.spent["decode"] = whole - sum(spent for name, spent in clock.spent.items() if name != VIDEO_ANALYSIS.name)
        report.progress(AUDIO_ANALYSIS, 0.0)
        audio = None
        if sound is not None:
            with clock.charged(AUDIO_ANALYSIS.name):
                sound.finish(end_seconds)
                audio = sound.result()
        report.progress(MOTION_ANALYSIS, 0.0)
        with clock.charged(MOTION_ANALYSIS.name):
            watch.finish(end_seconds)
        report.progress(STYLE_EXTRACTION, 0.0)
        result = watch.result(decoding)
        result |= {
            "audio": audio,
            "artifacts": result["artifacts"] + (sound.artifacts if sound else []),
            "warnings": _warnings(source, decoding, sound),
        }
        if "style" in request.config.analyses:
            with clock.charged(STYLE_EXTRACTION.name):
                result["style"] = extract(result)
    return result | {"timings": {name: round(spent, 3) for name, spent in clock.spent.items()}}


def _sound(source: Source, request: MediaRequest, clock: Clock) -> Sound | None:
    if source.audio is None or "audio" not in request.config.analyses:
        return None
    return Sound(source.audio, origin=source.origin, clock=clock, request=request)


def _warnings(source: Source, decoding: Decoding, sound: Sound | None) -> list[str]:
    found = []
    end_seconds, declared = float(decoding.end_seconds), source.declared_seconds
    if declared is None:
        found.append("The file does not say how long it is; its pictures were counted.")
    elif abs(declared - end_seconds) > max(0.5, 0.02 * end_seconds):
        found.append(f"The file claims {declared:.2f} seconds; its pictures last {end_seconds:.2f}.")
    if decoding.damaged_packets:
        found.append(f"{decoding.damaged_packets} damaged pieces could not be decoded and were left out.")
    if sound is not None and sound.damaged_packets:
        found.append(f"{sound.damaged_packets} damaged pieces of the sound could not be decoded and were left out.")
    if decoding.cut_short:
        found.append("The file ends in the middle; what is there was used.")
    return found
