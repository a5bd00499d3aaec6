"""Thumbnails: one for every shot or every interval, chosen during the pass."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from clipzy_storage.models.analysis import ArtifactFile
from clipzy_storage.models.job_config import ThumbnailOptions
from clipzy_worker.analysers.base import Frame, FrameAnalyser, Pixels
from clipzy_worker.analysers.display_moments import DisplayMoments
from clipzy_worker.analysers.images.jpeg import write_jpeg
from clipzy_worker.analysers.shots.shots import LAG_SECONDS, Shot, Shots

MAX_THUMBNAILS = 500
SHOTS_DIRECTORY, INTERVALS_DIRECTORY = "shots", "intervals"
# Shorter than any shot.
_SAMPLE_EVERY_SECONDS = 0.25
# Only every second sample is scaled from the full frame, which costs as much as all analysis of it.
_FULL_QUALITY_EVERY = 2
_MAX_CANDIDATES_OF_LONG_SHOTS = 16
# Of an interval whose first frame begins at most so late that frame is shown.
_SOON_SECONDS = 0.1
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
    until_seconds: float
    is_blank: bool
    is_low_quality: bool  # for shots that end before the next full-quality sample
    pixels: Pixels

    def distance(self, seconds: float) -> float:
        """0 if this frame is displayed then."""
        return max(self.seconds - seconds, seconds - self.until_seconds, 0.0)


class ShotThumbnails:
    """Shows the frame that is displayed in the middle of each shot, or the nearest one that is not blank.

    Candidates are kept close together where a boundary may still be found, and thinned out in long shots.
    """

    def __init__(self, shots: Shots, writer: _ThumbnailWriter, size: tuple[int, int]) -> None:
        self._shots, self._writer, self._size = shots, writer, size
        self._candidates: list[_Candidate] = []
        self._moments = DisplayMoments(_SAMPLE_EVERY_SECONDS)
        self._shots_seen = 0

    @property
    def written(self) -> list[Thumbnail]:
        return self._writer.written

    def process(self, frame: Frame) -> None:
        if moments := self._moments.within(frame):
            is_low_quality = all(moment % _FULL_QUALITY_EVERY for moment in moments[:_FULL_QUALITY_EVERY])
            self._candidates.append(self._candidate(frame, is_low_quality=is_low_quality))
            self._thin_out(before_seconds=frame.seconds - LAG_SECONDS)
        self._take_settled_shots()

    def finish(self, end_seconds: float) -> None:  # noqa: ARG002 - required by the interface
        self._take_settled_shots()

    def _candidate(self, frame: Frame, *, is_low_quality: bool) -> _Candidate:
        pixels = (
            np.asarray(cv2.resize(frame.pixels, self._size), np.uint8) if is_low_quality else frame.show(self._size)
        )
        return _Candidate(frame.seconds, frame.until_seconds, frame.is_blank, is_low_quality, pixels)

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
        best = min(candidates, key=lambda one: (one.is_blank, one.is_low_quality, one.distance(middle)))
        self._writer.write(
            Thumbnail(shot.index, f"{SHOTS_DIRECTORY}/{shot.index:04}.jpg", best.seconds, shot=shot.index), best.pixels
        )


class IntervalThumbnails:
    """Shows the first frame of each interval, or, if that does not begin soon, the one displayed at its beginning."""

    def __init__(self, interval_seconds: float, writer: _ThumbnailWriter, size: tuple[int, int]) -> None:
        self._interval_seconds, self._writer, self._size = interval_seconds, writer, size
        self._moments = DisplayMoments(interval_seconds, start_seconds=0.0)
        self._due: int | None = None  # the interval that waits for a frame which follows soon
        self._last: Frame | None = None

    @property
    def written(self) -> list[Thumbnail]:
        return self._writer.written

    def process(self, frame: Frame) -> None:
        if self._due is not None:
            self._write(self._due, frame.seconds, frame)
            self._due = None
        for number in self._moments.within(frame):
            begin = number * self._interval_seconds
            if begin > frame.seconds and frame.until_seconds - begin < _SOON_SECONDS:
                self._due = number
            elif begin + self._interval_seconds > frame.seconds:  # else nothing is displayed in this interval
                self._write(number, max(begin, frame.seconds), frame)
        self._last = frame

    def finish(self, end_seconds: float) -> None:
        """The last frame stays as long as the audio lasts."""
        if self._last is None:
            return
        held = replace(self._last, until_seconds=max(end_seconds, self._last.until_seconds))
        for number in [*([] if self._due is None else [self._due]), *self._moments.within(held)]:
            self._write(number, number * self._interval_seconds, held)

    def _write(self, number: int, seconds: float, frame: Frame) -> None:
        if self._writer.wants(number):
            name = f"{INTERVALS_DIRECTORY}/{number:05}.jpg"
            self._writer.write(Thumbnail(number, name, seconds), frame.show(self._size))
