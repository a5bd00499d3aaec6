"""Thumbnails: one for every shot, or one for every so many seconds, chosen while the film runs."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from clipzy_storage.models.job_config import ThumbnailOptions
from clipzy_worker.analysers.base import Frame, FrameAnalyser, Pixels
from clipzy_worker.analysers.images.jpeg import write_jpeg
from clipzy_worker.analysers.shots.shots import LAG_SECONDS, Shot, Shots

MAX_THUMBNAILS = 500
_SAMPLE_EVERY_SECONDS = 0.25  # shorter than any shot
_PAINT_EVERY = 2  # samples: a full picture costs as much as all measuring of its frame
_KEPT_OF_LONG_SHOTS = 16


@dataclass(frozen=True)
class Thumbnail:
    """A file in the out folder; ``place`` counts shots, or intervals."""

    place: int
    file: str
    seconds: float
    shot: int | None = None

    def artifact(self) -> dict[str, Any]:
        about = {"file": self.file, "kind": "thumbnail", "content_type": "image/jpeg"}
        return about | {"shot": self.shot, "time_seconds": round(self.seconds, 6)}


class Thumbnails(FrameAnalyser, Protocol):
    """``written`` lists what is there, in order, after ``finish``. Raises ``OSError``."""

    @property
    def written(self) -> list[Thumbnail]: ...


def thumbnails(
    options: ThumbnailOptions, *, shots: Shots, size: tuple[int, int], out_folder: Path
) -> Thumbnails | None:
    """The analyser for these options, to be asked after ``shots``; ``None`` where none are wanted. ``size`` is width
    and height."""
    album = _Album(out_folder)
    match options.per:
        case "shot":
            return ShotThumbnails(shots, album, size)
        case "interval":
            return IntervalThumbnails(options.interval_seconds, album, size)
        case "none":
            return None


class _Album:
    """Writes thumbnails and, where there come to be too many, keeps every second, every fourth, and so on."""

    def __init__(self, out_folder: Path) -> None:
        self.written: list[Thumbnail] = []
        self._out_folder = out_folder
        self._every = 1

    def wants(self, place: int) -> bool:
        return place % self._every == 0

    def write(self, thumbnail: Thumbnail, pixels: Pixels) -> None:
        path = self._out_folder / thumbnail.file
        path.parent.mkdir(exist_ok=True)
        write_jpeg(path, pixels)
        self.written.append(thumbnail)
        if len(self.written) > MAX_THUMBNAILS:
            self._drop_every_second()

    def _drop_every_second(self) -> None:
        self._every *= 2
        for one in self.written:
            if not self.wants(one.place):
                (self._out_folder / one.file).unlink()
        self.written = [one for one in self.written if self.wants(one.place)]


@dataclass(frozen=True)
class _Candidate:
    seconds: float
    is_blank: bool
    is_rough: bool  # for the shots that are over before the next full picture
    pixels: Pixels


class ShotThumbnails:
    """Shows each shot as it is in its middle, or nearest to it where that is blank.

    Samples are kept close together where a boundary may still be found, and thinned out where the shot is long.
    """

    def __init__(self, shots: Shots, album: _Album, size: tuple[int, int]) -> None:
        self._shots, self._album, self._size = shots, album, size
        self._candidates: list[_Candidate] = []
        self._sampled_at = -math.inf
        self._samples = 0
        self._shots_seen = 0

    @property
    def written(self) -> list[Thumbnail]:
        return self._album.written

    def process(self, frame: Frame) -> None:
        if frame.seconds - self._sampled_at >= _SAMPLE_EVERY_SECONDS:
            self._sampled_at = frame.seconds
            self._candidates.append(self._candidate(frame))
            self._thin_out(before_seconds=frame.seconds - LAG_SECONDS)
        self._take_settled_shots()

    def finish(self, end_seconds: float) -> None:  # noqa: ARG002 - of the protocol
        self._take_settled_shots()

    def _candidate(self, frame: Frame) -> _Candidate:
        is_rough = self._samples % _PAINT_EVERY != 0
        self._samples += 1
        pixels = np.asarray(cv2.resize(frame.pixels, self._size), np.uint8) if is_rough else frame.show(self._size)
        return _Candidate(frame.seconds, frame.is_blank, is_rough, pixels)

    def _thin_out(self, *, before_seconds: float) -> None:
        settled = [candidate for candidate in self._candidates if candidate.seconds < before_seconds]
        if len(settled) > _KEPT_OF_LONG_SHOTS:
            self._candidates = settled[::2] + self._candidates[len(settled) :]

    def _take_settled_shots(self) -> None:
        for shot in self._shots.settled[self._shots_seen :]:
            own = [one for one in self._candidates if shot.start_seconds <= one.seconds < shot.end_seconds]
            self._candidates = [one for one in self._candidates if one.seconds >= shot.end_seconds]
            if own and self._album.wants(shot.index):
                self._write(shot, own)
        self._shots_seen = len(self._shots.settled)

    def _write(self, shot: Shot, candidates: list[_Candidate]) -> None:
        middle = (shot.start_seconds + shot.end_seconds) / 2
        best = min(candidates, key=lambda one: (one.is_blank, one.is_rough, abs(one.seconds - middle)))
        self._album.write(
            Thumbnail(shot.index, f"shots/{shot.index:04}.jpg", best.seconds, shot=shot.index), best.pixels
        )


class IntervalThumbnails:
    """Shows the first picture of each interval."""

    def __init__(self, interval_seconds: float, album: _Album, size: tuple[int, int]) -> None:
        self._interval_seconds, self._album, self._size = interval_seconds, album, size
        self._next = 0

    @property
    def written(self) -> list[Thumbnail]:
        return self._album.written

    def process(self, frame: Frame) -> None:
        place = int(frame.seconds / self._interval_seconds)
        if place >= self._next:
            self._next = place + 1
            if self._album.wants(place):
                name = f"intervals/{place:05}.jpg"
                self._album.write(Thumbnail(place, name, frame.seconds), frame.show(self._size))

    def finish(self, end_seconds: float) -> None: ...
