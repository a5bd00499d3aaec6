"""Stills: a poster for the film and a thumbnail for every shot, chosen while it runs."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from clipzy_worker.analyse.base import Frame, Pixels
from clipzy_worker.analyse.shots import LAG_SECONDS, Shot, Shots
from clipzy_worker.media.picture import Geometry, write_jpeg

THUMBNAIL_WIDTH = 320
POSTER_SIDE = 1280
MAX_THUMBNAILS = 500
_SAMPLE_EVERY_SECONDS = 0.25  # shorter than any shot
_KEPT_OF_LONG_SHOTS = 16


@dataclass(frozen=True)
class _Candidate:
    seconds: float
    is_blank: bool
    pixels: Pixels


class Stills:
    """An analyser, to be asked after ``shots``. ``artifacts`` lists its files after ``finish``; raises ``OSError``.

    Samples are kept close together where a boundary may still be found, and thinned out where the shot is long.
    """

    def __init__(self, shots: Shots, geometry: Geometry, out_folder: Path) -> None:
        self.artifacts: list[dict[str, Any]] = []
        self._shots = shots
        self._geometry = geometry
        self._out_folder = out_folder
        self._thumbnail_size = geometry.fitted(width=THUMBNAIL_WIDTH)
        self._candidates: list[_Candidate] = []
        self._sampled_at = -math.inf
        self._poster: Pixels | None = None
        self._poster_merit = -1.0
        self._shots_seen = 0
        self._thumbnails: list[int] = []  # shots that have one
        self._every = 1  # only every so many-th shot gets one, so that there are not too many

    def process(self, frame: Frame) -> None:
        if frame.seconds - self._sampled_at >= _SAMPLE_EVERY_SECONDS:
            self._sampled_at = frame.seconds
            self._candidates.append(_Candidate(frame.seconds, frame.is_blank, frame.show(self._thumbnail_size)))
            self._thin_out(before_seconds=frame.seconds - LAG_SECONDS)
            self._consider_for_poster(frame)
        self._take_settled_shots()

    def finish(self, end_seconds: float) -> None:  # noqa: ARG002 - of the protocol
        self._take_settled_shots()
        if self._poster is not None:
            write_jpeg(self._out_folder / "poster.jpg", self._poster)
            self.artifacts.append({"file": "poster.jpg", "kind": "poster", "content_type": "image/jpeg"})
        self.artifacts += [
            {"file": _thumbnail_name(shot), "kind": "thumbnail", "content_type": "image/jpeg", "shot": shot}
            for shot in self._thumbnails
        ]

    def _consider_for_poster(self, frame: Frame) -> None:
        merit = poster_merit(frame)
        if merit > self._poster_merit:
            self._poster_merit = merit
            self._poster = frame.show(self._geometry.fitted(side=POSTER_SIDE))

    def _thin_out(self, *, before_seconds: float) -> None:
        settled = [candidate for candidate in self._candidates if candidate.seconds < before_seconds]
        if len(settled) > _KEPT_OF_LONG_SHOTS:
            self._candidates = settled[::2] + self._candidates[len(settled) :]

    def _take_settled_shots(self) -> None:
        for shot in self._shots.settled[self._shots_seen :]:
            own = [one for one in self._candidates if shot.start_seconds <= one.seconds < shot.end_seconds]
            self._candidates = [one for one in self._candidates if one.seconds >= shot.end_seconds]
            if own and shot.index % self._every == 0:
                self._write_thumbnail(shot, own)
        self._shots_seen = len(self._shots.settled)

    def _write_thumbnail(self, shot: Shot, candidates: list[_Candidate]) -> None:
        middle = (shot.start_seconds + shot.end_seconds) / 2
        best = min(candidates, key=lambda one: (one.is_blank, abs(one.seconds - middle)))
        path = self._out_folder / _thumbnail_name(shot.index)
        path.parent.mkdir(exist_ok=True)
        write_jpeg(path, best.pixels)
        self._thumbnails.append(shot.index)
        if len(self._thumbnails) > MAX_THUMBNAILS:
            self._drop_every_second()

    def _drop_every_second(self) -> None:
        self._every *= 2
        for index in self._thumbnails:
            if index % self._every:
                (self._out_folder / _thumbnail_name(index)).unlink()
        self._thumbnails = [index for index in self._thumbnails if index % self._every == 0]


def poster_merit(frame: Frame) -> float:
    """How well the frame would stand for the film: well lit, rich in contrast, sharp. 0 for a blank one."""
    if frame.is_blank:
        return 0.0
    lit = 1 - abs(frame.mean - 118) / 137
    contrast = min(frame.spread / 60, 1.0)
    sharpness = float(cv2.Laplacian(frame.luma, cv2.CV_16S).std())
    return lit * contrast * math.log1p(sharpness)


def _thumbnail_name(shot: int) -> str:
    return f"shots/{shot:04}.jpg"
