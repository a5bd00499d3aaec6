"""The stage ``video_analysis``: one pass over the pictures, heard by all analysers."""

import time
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from typing import Any

import cv2
from av.video.frame import VideoFrame

from clipzy_worker.analyse.base import Analyser, Frame, make_frame
from clipzy_worker.analyse.pace import Pace
from clipzy_worker.analyse.shots import Shot, Shots
from clipzy_worker.analyse.stills import Stills
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.media.frames import Decoding
from clipzy_worker.media.picture import Geometry, Painter, quarter_turns
from clipzy_worker.media.report import Report
from clipzy_worker.media.request import MediaRequest
from clipzy_worker.media.source import Source, open_source, size_bytes_of

_SMALL_PIXELS = 320 * 180
_DECIMALS = 6


def analyse_video(request: MediaRequest, report: Report) -> dict[str, Any]:
    """Facts, shots and stills of one file; the stills lie in the request's ``out_folder``.

    Raises:
        InvalidMedia: there is no video in it, none that can be decoded, or more of it than is accepted.
        StorageUnavailable: the file cannot be read, whatever is in it.
        OSError: a still could not be written.
    """
    cv2.setNumThreads(1)
    with open_source(request) as source:
        size_bytes = size_bytes_of(request.source)
        decoding = Decoding(source, limits=request.limits, size_bytes=size_bytes)
        watch = _Watch(source, request)
        started_at = time.perf_counter()
        for seconds, decoded in decoding:
            watch.process(seconds, decoded)
            report.progress(decoding.fraction)
        return watch.result(decoding, pass_seconds=time.perf_counter() - started_at)


class _Watch:
    """Shows every decoded frame to every analyser, and adds up their time."""

    def __init__(self, source: Source, request: MediaRequest) -> None:
        self._source = source
        self._out_folder = request.out_folder
        self._painter = Painter()
        self._pace = Pace()
        self._shots = Shots()
        self._geometry: Geometry | None = None
        self._stills: Stills | None = None
        self._analysers: dict[str, Analyser] = {}
        self._seconds_spent: dict[str, float] = {"shots": 0.0, "stills": 0.0}

    def process(self, seconds: Fraction, decoded: VideoFrame) -> None:
        geometry = self._geometry or self._begin(decoded)
        frame = self._small(seconds, decoded, geometry)
        self._pace.add(seconds)
        for name, analyser in self._analysers.items():
            self._timed(name, partial(analyser.process, frame))

    def result(self, decoding: Decoding, *, pass_seconds: float) -> dict[str, Any]:
        """Raises ``InvalidMedia`` where nothing was decoded."""
        if self._geometry is None or self._stills is None:
            raise InvalidMedia("No picture of the video could be decoded: the file is damaged or incomplete.")
        end_seconds = float(decoding.end_seconds)
        decode_seconds = pass_seconds - sum(self._seconds_spent.values())
        for name, analyser in self._analysers.items():
            self._timed(name, partial(analyser.finish, end_seconds))
        timings = {"video_analysis": pass_seconds, "decode": decode_seconds, **self._seconds_spent}
        return {
            "source": self._facts(decoding, self._geometry),
            "shots": [_rounded(shot) for shot in self._shots.settled],
            "artifacts": self._stills.artifacts,
            "warnings": _warnings(self._source, decoding),
            "timings": {name: round(spent, 3) for name, spent in timings.items()},
        }

    def _begin(self, decoded: VideoFrame) -> Geometry:
        """The first picture says how the film is to be shown."""
        geometry = Geometry(decoded.width, decoded.height, self._source.pixel_aspect, quarter_turns(decoded))
        self._geometry = geometry
        self._stills = Stills(self._shots, geometry, self._out_folder)
        self._analysers = {"shots": self._shots, "stills": self._stills}
        return geometry

    def _small(self, seconds: Fraction, decoded: VideoFrame, geometry: Geometry) -> Frame:
        pixels = self._painter.stored(decoded, _small_size(geometry), fast=True)
        show = partial(self._painter.shown, decoded, geometry=geometry)
        return make_frame(self._pace.frames, float(seconds), pixels, show)

    def _timed(self, name: str, work: Callable[[], None]) -> None:
        started_at = time.perf_counter()
        work()
        self._seconds_spent[name] += time.perf_counter() - started_at

    def _facts(self, decoding: Decoding, geometry: Geometry) -> dict[str, Any]:
        width, height = geometry.shown_size
        rate = self._pace.frame_rate(declared=self._source.declared_rate, end_seconds=decoding.end_seconds)
        return {
            "container": self._source.name,
            "duration_seconds": round(float(decoding.end_seconds), _DECIMALS),
            "width": width,
            "height": height,
            "frame_rate": round(rate, _DECIMALS),
            "video_codec": self._source.video_codec,
            "audio_codec": self._source.audio_codec,
        }


def _small_size(geometry: Geometry) -> tuple[int, int]:
    """Width and height for measuring, in the stored shape: about as many pixels whatever the film's size."""
    width, height = geometry.stored_width, geometry.stored_height
    scale = min(1.0, (_SMALL_PIXELS / (width * height)) ** 0.5)
    return max(8, round(width * scale)), max(8, round(height * scale))


def _rounded(shot: Shot) -> dict[str, Any]:
    return asdict(shot) | {
        "start_seconds": round(shot.start_seconds, _DECIMALS),
        "end_seconds": round(shot.end_seconds, _DECIMALS),
    }


def _warnings(source: Source, decoding: Decoding) -> list[str]:
    found = []
    end_seconds, declared = float(decoding.end_seconds), source.declared_seconds
    if declared is None:
        found.append("The file does not say how long it is; its pictures were counted.")
    elif abs(declared - end_seconds) > max(0.5, 0.02 * end_seconds):
        found.append(f"The file claims {declared:.2f} seconds; its pictures last {end_seconds:.2f}.")
    if decoding.damaged_packets:
        found.append(f"{decoding.damaged_packets} damaged pieces could not be decoded and were left out.")
    if decoding.cut_short:
        found.append("The file ends in the middle; what is there was used.")
    return found
