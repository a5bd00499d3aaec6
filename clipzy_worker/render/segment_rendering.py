"""Renders the segments of a video that an earlier attempt has not finished."""

import contextlib
from collections.abc import Callable, Generator
from itertools import count, islice

from av.video.frame import VideoFrame

from clipzy_worker.analysers.base import Pixels
from clipzy_worker.errors import RenderFailed, result_too_large
from clipzy_worker.render.encoder import VideoFormat
from clipzy_worker.render.joining import Segment, read_segment
from clipzy_worker.render.mp4_writer import Mp4Writer
from clipzy_worker.render.output_frames import OutputFrames
from clipzy_worker.render.segments import SegmentPlan
from clipzy_worker.sandbox.request import SEGMENTS, MediaRequest

Pictures = Callable[[range], Generator[VideoFrame, None, None]]
"""Decodes and filters: one picture, ready to be encoded, for each of these frames of the output."""


class SegmentRenderer:
    """The segments of one video. They lie in ``SEGMENTS`` below the output directory, also those that were fetched.

    ``on_fraction`` is called with the fraction of all that is done, and ``on_segment`` with the name of each segment
    that is rendered. ``first`` and ``last`` are small copies of these pictures, if they are rendered here.
    """

    def __init__(
        self,
        request: MediaRequest,
        video: VideoFormat,
        output: OutputFrames,
        plan: SegmentPlan,
        *,
        on_fraction: Callable[[float], object],
        on_segment: Callable[[str], object],
    ) -> None:
        self._request, self._video, self._output, self._plan = request, video, output, plan
        self._on_fraction, self._on_segment = on_fraction, on_segment
        self._directory = request.out_directory / SEGMENTS
        self._fetched: dict[int, Segment] = {}
        self._rendered: dict[int, Segment] = {}
        self.first: Pixels | None = None
        self.last: Pixels | None = None

    def all(self, pictures: Pictures) -> list[Segment]:
        """Every segment in order, after those that are missing were rendered.

        Raises:
            ResultTooLarge: together they have more bytes than the result may have.
            RenderFailed: pictures are missing, or what was encoded cannot be joined.
            OSError: one cannot be written.
        """
        self._directory.mkdir(exist_ok=True)
        self._fetched = self._usable()
        while missing := self._missing():
            first, last = (self._plan.pictures_of(number) for number in (missing[0], missing[-1]))
            with contextlib.closing(pictures(range(first.start, last.stop))) as found:
                for number in missing:
                    self._render(number, found)
        segments = self._fetched | self._rendered
        return [segments[number] for number in range(len(self._plan))]

    def _usable(self) -> dict[int, Segment]:
        """Those of this plan that are whole and fit each other; other files are removed, to make room."""
        found: dict[int, Segment] = {}
        for number in range(len(self._plan)):
            path, pictures = self._directory / f"{self._plan.name(number)}.mp4", self._plan.pictures_of(number)
            if path.exists() and (segment := read_segment(path, self._request, pictures=len(pictures))):
                found[number] = segment
        fitting = _fitting(found, next(iter(found.values()), None))
        used = {segment.path for segment in fitting.values()}
        for path in self._directory.iterdir():
            if path not in used:
                path.unlink()
        return fitting

    def _missing(self) -> list[int]:
        """The first ones that follow each other."""
        wanted = [one for one in range(len(self._plan)) if one not in self._fetched and one not in self._rendered]
        return [
            one for one, expected in zip(wanted, count(wanted[0] if wanted else 0), strict=False) if one == expected
        ]

    def _render(self, number: int, pictures: Generator[VideoFrame, None, None]) -> None:
        name, frames = self._plan.name(number), self._plan.pictures_of(number)
        path, threads = self._directory / f"{name}.mp4", self._request.decoder_threads
        begin = self._output.stamps[frames.start]
        with Mp4Writer(path, self._video, has_sound=False, threads=threads) as writer:
            for frame, picture in zip(frames, islice(pictures, len(frames)), strict=False):
                stamp = self._output.stamps[frame] - begin
                writer.picture(picture, pts=stamp, duration=self._output.duration_of(frame))
                self._on_fraction(self._done(writer.written.pictures))
        segment = read_segment(path, self._request, pictures=len(frames))
        if segment is None:
            raise RenderFailed("A segment of the rendered video has other pictures than were asked for.")
        self._rendered[number] = segment
        self._fetched = _fitting(self._fetched, segment)
        self.first = writer.written.first if number == 0 else self.first
        self.last = writer.written.last if number == len(self._plan) - 1 else self.last
        self._check_size()
        self._on_segment(name)

    def _done(self, pictures: int) -> float:
        numbers = self._fetched.keys() | self._rendered.keys()
        return (sum(len(self._plan.pictures_of(number)) for number in numbers) + pictures) / self._plan.pictures

    def _check_size(self) -> None:
        segments = (self._fetched | self._rendered).values()
        size_bytes, limit_bytes = sum(one.path.stat().st_size for one in segments), self._request.limits.output_bytes
        if size_bytes > limit_bytes:
            raise result_too_large(limit_bytes, at_least_bytes=size_bytes)


def _fitting(segments: dict[int, Segment], other: Segment | None) -> dict[int, Segment]:
    """Those whose encoder had the same parameters as that of the other: only such can be joined."""
    return {number: one for number, one in segments.items() if other and one.parameters == other.parameters}
