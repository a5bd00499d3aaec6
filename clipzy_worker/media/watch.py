"""All who watch the pictures: shows each of them every frame, and gathers what they have found."""

from dataclasses import asdict
from fractions import Fraction
from functools import partial
from typing import Any

from av.video.frame import VideoFrame

from clipzy_worker.analyse.base import Analyser, Frame
from clipzy_worker.analyse.color import Colors
from clipzy_worker.analyse.motion import Motions
from clipzy_worker.analyse.pace import Pace
from clipzy_worker.analyse.shots import Shots
from clipzy_worker.analyse.stills import Stills
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.media.clock import Clock
from clipzy_worker.media.frames import Decoding
from clipzy_worker.media.picture import Geometry, Painter, quarter_turns
from clipzy_worker.media.request import MediaRequest
from clipzy_worker.media.source import Source

_SMALL_PIXELS = 320 * 180
_DECIMALS = 6


class Watch:
    """The analysers of one film. ``artifacts`` lists what they have written, after ``finish``."""

    def __init__(self, source: Source, request: MediaRequest, clock: Clock) -> None:
        self.artifacts: list[dict[str, Any]] = []
        self._source, self._request, self._clock = source, request, clock
        self._painter = Painter()
        self._pace = Pace()
        self._shots = Shots()
        self._geometry: Geometry | None = None
        self._stills: Stills | None = None
        self._motions: Motions | None = None
        self._colors: Colors | None = None
        self._others: dict[str, Analyser] = {}  # who follow the shots

    def process(self, seconds: Fraction, decoded: VideoFrame) -> None:
        geometry = self._geometry or self._begin(decoded)
        with self._clock.charged("scale"):
            frame = self._small(seconds, decoded, geometry)
        self._pace.add(seconds)
        for name, analyser in (("shots", self._shots), *self._others.items()):
            with self._clock.charged(name):
                analyser.process(frame)

    def finish_shots(self, end_seconds: float) -> None:
        with self._clock.charged("shots"):
            self._shots.finish(end_seconds)

    def finish(self, end_seconds: float) -> None:
        """Raises ``InvalidMedia`` where no picture was decoded."""
        if self._stills is None:
            raise InvalidMedia("No picture of the video could be decoded: the file is damaged or incomplete.")
        for name, analyser in self._others.items():
            with self._clock.charged(name):
                analyser.finish(end_seconds)
        self.artifacts = self._stills.artifacts

    def result(self, decoding: Decoding) -> dict[str, Any]:
        """Everything of ``output.json`` that is seen; to be asked after ``finish``."""
        shots = [_rounded(asdict(shot)) for shot in self._shots.settled]
        for name, analyser in (("motion", self._motions), ("color", self._colors)):
            if analyser is not None:
                shots = [shot | {name: part} for shot, part in zip(shots, analyser.of_shots, strict=True)]
        return {
            "source": self._facts(decoding),
            "shots": shots,
            "motion": self._motions.of_film if self._motions else None,
            "color": self._colors.of_film if self._colors else None,
        }

    def _begin(self, decoded: VideoFrame) -> Geometry:
        """The first picture says how the film is to be shown."""
        geometry = Geometry(decoded.width, decoded.height, self._source.pixel_aspect, quarter_turns(decoded))
        self._geometry = geometry
        wanted = self._request.config.analyses
        self._stills = Stills(self._shots, geometry, self._request.out_folder)
        self._others = {"stills": self._stills}
        if "motion" in wanted:
            self._others["motion"] = self._motions = Motions(self._shots)
        if "color" in wanted:
            self._others["color"] = self._colors = Colors(self._shots, geometry)
        return geometry

    def _small(self, seconds: Fraction, decoded: VideoFrame, geometry: Geometry) -> Frame:
        pixels = self._painter.shown(decoded, geometry.reduced(_SMALL_PIXELS), geometry, fast=True)
        return Frame(
            self._pace.frames, float(seconds), pixels, partial(self._painter.shown, decoded, geometry=geometry)
        )

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
