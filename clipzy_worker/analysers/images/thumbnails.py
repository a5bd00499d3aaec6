"""Thumbnails: one for every shot or every interval, chosen during the pass."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from clipzy_storage.models.analysis import ArtifactFile
from clipzy_storage.models.job_config import ThumbnailOptions
from clipzy_worker.analysers.base import Frame, FrameAnalyser, Pixels
from clipzy_worker.analysers.images.jpeg import write_jpeg
from clipzy_worker.analysers.shots.shots import LAG_SECONDS, Shot, Shots

MAX_THUMBNAILS = 500
SHOTS_DIRECTORY, INTERVALS_DIRECTORY = "shots", "intervals"
# Shorter than any shot.
_SAMPLE_EVERY_SECONDS = 0.25
# Only every second sample is scaled from the full frame, which costs as much as all analysis of it.
_FULL_QUALITY_EVERY = 2
_MAX_CANDIDATES_OF_LONG_SHOTS = 16
_TIME_DECIMALS = 6


@dataclass(frozen=True)
class Thumbnail:
    """A file in the output directory; ``number`` counts shots or intervals."""

    number: int
    file: str
    seconds: float
    shot: int | None = None

    def artifact(self) -> ArtifactFile:
        return ArtifactFile(
            file=self.file,
            kind="thumbnail",
            content_type="image/jpeg",
            shot=self.shot,
            time_seconds=round(self.seconds, _TIME_DECIMALS),
        )


class Thumbnails(FrameAnalyser, Protocol):
    """``written`` lists the files in order, after ``finish``. Raises ``OSError``."""

    @property
    def written(self) -> list[Thumbnail]: ...


def thumbnails(
    options: ThumbnailOptions, *, shots: Shots, size: tuple[int, int], out_directory: Path
) -> Thumbnails | None:
    """The analyser for these options, to be called after ``shots``; ``None`` for no thumbnails. ``size`` is width and
    height."""
    writer = _ThumbnailWriter(out_directory)
    match options.per:
        case "shot":
            return ShotThumbnails(shots, writer, size)
        case "interval":
            return IntervalThumbnails(options.interval_seconds, writer, size)
        case "none":
            return None


class _ThumbnailWriter:
    """Writes thumbnails. At too many of them it keeps every second only, then every fourth, and so on."""

    def __init__(self, out_directory: Path) -> None:
        self.written: list[Thumbnail] = []
        self._out_directory = out_directory
        self._every = 1

    def wants(self, number: int) -> bool:
        return number % self._every == 0

    def write(self, thumbnail: Thumbnail, pixels: Pixels) -> None:
        path = self._out_directory / thumbnail.file
        path.parent.mkdir(exist_ok=True)
        write_jpeg(path, pixels)
        self.written.append(thumbnail)
        if len(self.written) > MAX_THUMBNAILS:
            self._drop_every_second()

    def _drop_every_second(self) -> None:
        self._every *= 2
        for one in self.written:
            if not self.wants(one.number):
                (self._out_directory / one.file).unlink()
        self.written = [one for one in self.written if self.wants(one.number)]


@dataclass(frozen=True)
class _Candidate:
    seconds: float
    is_blank: bool
    is_low_quality: bool  # for shots that end before the next full-quality sample
    pixels: Pixels


class ShotThumbnails:
    """Shows the frame in the middle of each shot, or the nearest one that is not blank.

    Candidates are kept close together where a boundary may still be found, and thinned out in long shots.
    """

    def __init__(self, shots: Shots, writer: _ThumbnailWriter, size: tuple[int, int]) -> None:
        self._shots, self._writer, self._size = shots, writer, size
        self._candidates: list[_Candidate] = []
        self._sampled_at = -math.inf
        self._samples = 0
        self._shots_seen = 0

    @property
    def written(self) -> list[Thumbnail]:
        return self._writer.written

    def process(self, frame: Frame) -> None:
        if frame.seconds - self._sampled_at >= _SAMPLE_EVERY_SECONDS:
            self._sampled_at = frame.seconds
            self._candidates.append(self._candidate(frame))
            self._thin_out(before_seconds=frame.seconds - LAG_SECONDS)
        self._take_settled_shots()

    def finish(self, end_seconds: float) -> None:  # noqa: ARG002 - required by the interface
        self._take_settled_shots()

    def _candidate(self, frame: Frame) -> _Candidate:
        is_low_quality = self._samples % _FULL_QUALITY_EVERY != 0
        self._samples += 1
        pixels = (
            np.asarray(cv2.resize(frame.pixels, self._size), np.uint8) if is_low_quality else frame.show(self._size)
        )
        return _Candidate(frame.seconds, frame.is_blank, is_low_quality, pixels)

    def _thin_out(self, *, before_seconds: float) -> None:
        settled = [candidate for candidate in self._candidates if candidate.seconds < before_seconds]
        if len(settled) > _MAX_CANDIDATES_OF_LONG_SHOTS:
            self._candidates = settled[::2] + self._candidates[len(settled) :]

    def _take_settled_shots(self) -> None:
        for shot in self._shots.settled[self._shots_seen :]:
            own = [one for one in self._candidates if shot.start_seconds <= one.seconds < shot.end_seconds]
            self._candidates = [one for one in self._candidates if one.seconds >= shot.end_seconds]
            if own and self._writer.wants(shot.index):
                self._write(shot, own)
        self._shots_seen = len(self._shots.settled)

    def _write(self, shot: Shot, candidates: list[_Candidate]) -> None:
        middle = (shot.start_seconds + shot.end_seconds) / 2
        best = min(candidates, key=lambda one: (one.is_blank, one.is_low_quality, abs(one.seconds - middle)))
        self._writer.write(
            Thumbnail(shot.index, f"{SHOTS_DIRECTORY}/{shot.index:04}.jpg", best.seconds, shot=shot.index), best.pixels
        )


class IntervalThumbnails:
    """Shows the first frame of each interval."""

    def __init__(self, interval_seconds: float, writer: _ThumbnailWriter, size: tuple[int, int]) -> None:
        self._interval_seconds, self._writer, self._size = interval_seconds, writer, size
        self._next = 0

    @property
    def written(self) -> list[Thumbnail]:
        return self._writer.written

    def process(self, frame: Frame) -> None:
        number = int(frame.seconds / self._interval_seconds)
        if number >= self._next:
            self._next = number + 1
            if self._writer.wants(number):
                name = f"{INTERVALS_DIRECTORY}/{number:05}.jpg"
                self._writer.write(Thumbnail(number, name, frame.seconds), frame.show(self._size))

    def finish(self, end_seconds: float) -> None: ...
