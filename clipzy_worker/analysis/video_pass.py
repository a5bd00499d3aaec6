"""Shows every picture to all who watch, and gathers what they have found."""

from dataclasses import asdict
from fractions import Fraction
from functools import partial
from typing import Any

from av.video.frame import VideoFrame

from clipzy_worker.analysers.base import Frame
from clipzy_worker.analysers.frame_rate import FrameRateEstimator
from clipzy_worker.analysis.artifacts import write_curves, write_stills
from clipzy_worker.analysis.demux import Decoding
from clipzy_worker.analysis.frame_analysers import Analysers
from clipzy_worker.analysis.timings import Clock
from clipzy_worker.decode.picture import Geometry, Painter, quarter_turns
from clipzy_worker.decode.source import Source
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaRequest

_SMALL_PIXELS = 320 * 180
_DECIMALS = 6


class Watch:
    """The pass over one film: ``process`` each picture, then ``finish_shots`` and ``finish``, then ``result``."""

    def __init__(self, source: Source, request: MediaRequest, clock: Clock) -> None:
        self._source, self._request, self._clock = source, request, clock
        self._painter = Painter()
        self._pace = FrameRateEstimator()
        self._geometry: Geometry | None = None
        self._analysers: Analysers | None = None
        self._artifacts: list[dict[str, Any]] = []

    def process(self, seconds: Fraction, decoded: VideoFrame) -> None:
        geometry = self._geometry or self._begin(decoded)
        with self._clock.charged("scale"):
            frame = self._small(seconds, decoded, geometry)
        self._pace.add(seconds)
        for name, analyser in self._watching().in_order():
            with self._clock.charged(name):
                analyser.process(frame)

    def finish_shots(self, end_seconds: float) -> None:
        """Raises ``InvalidMedia`` where no picture was decoded."""
        with self._clock.charged("shots"):
            self._watching().shots.finish(end_seconds)

    def finish(self, end_seconds: float) -> None:
        """Raises ``OSError`` where a file cannot be written."""
        for name, analyser in self._watching().in_order():
            if analyser is not self._watching().shots:
                with self._clock.charged(name):
                    analyser.finish(end_seconds)
        with self._clock.charged("stills"):
            self._artifacts = write_stills(self._watching(), self._request)
            self._artifacts += write_curves(self._watching(), self._request)

    def result(self, decoding: Decoding) -> dict[str, Any]:
        """Everything of ``output.json`` that is seen."""
        watching = self._watching()
        shots = [_rounded(asdict(shot)) for shot in watching.shots.settled]
        for name, analyser in (("motion", watching.motions), ("color", watching.colors)):
            if analyser is not None:
                shots = [shot | {name: part} for shot, part in zip(shots, analyser.of_shots, strict=True)]
        return {
            "source": self._facts(decoding),
            "shots": shots,
            "motion": watching.motions and watching.motions.of_film,
            "color": watching.colors and watching.colors.of_film,
            "artifacts": self._artifacts,
        }

    def _begin(self, decoded: VideoFrame) -> Geometry:
        """The first picture says how the film is to be shown."""
        geometry = Geometry(decoded.width, decoded.height, self._source.pixel_aspect, quarter_turns(decoded))
        self._geometry = geometry
        self._analysers = Analysers(self._request.config, geometry, self._request.out_folder)
        return geometry

    def _watching(self) -> Analysers:
        if self._analysers is None:
            raise InvalidMedia("No picture of the video could be decoded: the file is damaged or incomplete.")
        return self._analysers

    def _small(self, seconds: Fraction, decoded: VideoFrame, geometry: Geometry) -> Frame:
        pixels = self._painter.shown(decoded, geometry.reduced(_SMALL_PIXELS), geometry, fast=True)
        show = partial(self._painter.shown, decoded, geometry=geometry)
        return Frame(self._pace.frames, float(seconds), pixels, show, is_key=decoded.key_frame)

    def _facts(self, decoding: Decoding) -> dict[str, Any]:
        width, height = self._geometry.shown_size if self._geometry else (0, 0)
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


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, _DECIMALS) if isinstance(value, float) else value for name, value in values.items()}
