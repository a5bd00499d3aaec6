"""Where clips may begin and end, and the windows between."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from clipzy_storage.models.clip_options import ClipOptions
from clipzy_worker.analysers.moments.cells import CELL_SECONDS, Numbers
from clipzy_worker.analysers.moments.measured import Measured, MeasuredSound
from clipzy_worker.analysers.moments.pauses import Pauses, Side
from clipzy_worker.analysers.moments.snapping import EdgeKind, FrameEdge, FrameTimes, Point, Snapper
from clipzy_worker.analysers.moments.windows import Windows, count_between

MAX_WINDOWS = 500_000

_MIN_BEAT_CONFIDENCE = 0.5
_ROUNDING_SECONDS = 1e-6
# Of two points at one frame, and of those that are thinned out, the first of these is kept.
_ORDER: tuple[EdgeKind, ...] = ("end", "asked", "shot", "pause", "beat", "grid")


@dataclass(frozen=True)
class Candidates:
    """The edges that clips may have, in order, and all windows between them."""

    starts: Sequence[FrameEdge]
    ends: Sequence[FrameEdge]
    windows: Windows


@dataclass(frozen=True)
class Area:
    """Where clips are looked for, on the times of frames."""

    start: FrameEdge
    end: FrameEdge

    @property
    def seconds(self) -> float:
        return self.end.seconds - self.start.seconds


def area_of(options: ClipOptions, frames: FrameTimes) -> Area | None:
    """``None`` if ``options.within`` has no frame of the video."""
    begin, end = frames.seconds_of(0), frames.end_seconds
    whole = Area(FrameEdge(0, begin, "end", 0.0), FrameEdge(len(frames), end, "end", 0.0))
    if options.within is None:
        return whole
    within = frames.frames_of(options.within.start_seconds, options.within.end_seconds)
    if not within:
        return None
    start, stop = frames.seconds_of(within.start), frames.seconds_of(within.stop)
    return Area(
        FrameEdge(within.start, start, "asked", start - options.within.start_seconds) if within.start else whole.start,
        FrameEdge(within.stop, stop, "asked", stop - options.within.end_seconds)
        if within.stop < len(frames)
        else whole.end,
    )


def candidates(options: ClipOptions, measured: Measured, frames: FrameTimes, area: Area) -> Candidates:
    """All windows of the area within the bounds of ``options``.

    An area that is shorter than the shortest clip is one window, unsnapped. A grid is there where no other points are
    near enough; in speech only where it goes on for longer than the longest clip.
    """
    if area.seconds < options.min_seconds:
        return _paired(options, [area.start], [area.end], min_seconds=0.0)
    finder = _Finder(options, measured, frames, area)
    found = finder.found(grid_seconds=finder.sparse_seconds())
    return found if len(found.windows) else finder.found(grid_seconds=finder.all_seconds(), may_cut=True)


class _Finder:
    def __init__(self, options: ClipOptions, measured: Measured, frames: FrameTimes, area: Area) -> None:
        self._options, self._area = options, area
        sound = measured.sound or MeasuredSound(np.empty(0), np.empty(0))
        self._cuts = measured.shot_starts[1:].tolist()
        self._beats = [beat.time_seconds for beat in sound.beats if beat.confidence >= _MIN_BEAT_CONFIDENCE]
        self._pauses = Pauses(
            sound.speech, begin=frames.seconds_of(0), end=frames.end_seconds, margin_seconds=options.margin_seconds
        )
        self._snapper = Snapper(options.snap, frames, pauses=self._pauses, cuts=self._cuts, beats=self._beats)
        points = self._points()
        self._starts = self._edges(points, "start")
        self._ends = self._edges(points, "end")

    def found(self, *, grid_seconds: Numbers, may_cut: bool = False) -> Candidates:
        grid = [Point(seconds, "grid") for seconds in grid_seconds.tolist()]
        starts = _unique(self._starts + self._edges(grid, "start", may_cut=may_cut))
        ends = _unique(self._ends + self._edges(grid, "end", may_cut=may_cut))
        return _thinned(self._options, starts, ends)

    def all_seconds(self) -> Numbers:
        first = math.ceil(self._area.start.seconds / CELL_SECONDS - _ROUNDING_SECONDS)
        last = math.floor(self._area.end.seconds / CELL_SECONDS + _ROUNDING_SECONDS)
        return np.arange(first, last + 1, dtype=np.float64) * CELL_SECONDS

    def sparse_seconds(self) -> Numbers:
        """The grid between points that are further from each other than the longest clip, and where a start has no end
        or an end no start."""
        grid = self.all_seconds()
        starts, ends = (np.array([edge.seconds for edge in side]) for side in (self._starts, self._ends))
        shortest, longest = self._options.min_seconds, self._options.max_seconds
        points = np.unique(np.concatenate([starts, ends]))
        far = np.flatnonzero(np.diff(points) > longest + _ROUNDING_SECONDS)
        alone = starts[_partners(ends, starts + shortest, starts + longest) == 0]
        behind = ends[_partners(starts, ends - longest, ends - shortest) == 0]
        since = np.concatenate([points[far], alone + shortest, behind - longest])
        until = np.concatenate([points[far + 1], alone + longest, behind - shortest])
        covered = np.zeros(len(grid) + 1, np.intp)
        np.add.at(covered, np.searchsorted(grid, since - _ROUNDING_SECONDS), 1)
        np.add.at(covered, np.searchsorted(grid, until + _ROUNDING_SECONDS, side="right"), -1)
        return grid[np.cumsum(covered[:-1]) > 0]

    def _points(self) -> list[Point]:
        snap = self._options.snap
        points = [Point(edge.seconds, edge.kind) for edge in (self._area.start, self._area.end)]
        if snap.shots:
            points += [Point(cut, "shot") for cut in self._cuts]
        if snap.speech:
            pauses = [self._pauses.pause(number) for number in range(len(self._pauses))]
            points += [Point(seconds, "pause") for pause in pauses for seconds in {pause.low, pause.high}]
        if snap.beats:
            points += [Point(beat, "beat") for beat in self._beats]
        return points

    def _edges(self, points: Iterable[Point], side: Side, *, may_cut: bool = False) -> list[FrameEdge]:
        """Those of the snapped points that are in the area, in order."""
        snapped = [self._snapper.snapped(point, side, may_cut=may_cut or self._must_cut(point)) for point in points]
        low, high = self._area.start.frame, self._area.end.frame
        return _unique(edge for edge in snapped if edge is not None and low <= edge.frame <= high)

    def _must_cut(self, point: Point) -> bool:
        """Whether this point of the grid is within speech that goes on for longer than a clip."""
        speech = self._pauses.speech_at(point.seconds) if point.kind == "grid" else None
        if speech is None or not self._options.snap.speech:
            return False
        return speech[1] - speech[0] + 2 * self._options.margin_seconds > self._options.max_seconds


def _partners(others: Numbers, since: Numbers, until: Numbers) -> Numbers:
    """How many of ``others`` lie between each pair of times."""
    after = np.searchsorted(others, until + _ROUNDING_SECONDS, side="right")
    return np.asarray(after - np.searchsorted(others, since - _ROUNDING_SECONDS))


def _unique(edges: Iterable[FrameEdge]) -> list[FrameEdge]:
    best: dict[int, FrameEdge] = {}
    for edge in sorted(edges, key=_preference):
        best.setdefault(edge.frame, edge)
    return sorted(best.values(), key=lambda edge: edge.frame)


def _preference(edge: FrameEdge) -> tuple[int, float, float]:
    return _ORDER.index(edge.kind), abs(edge.moved_seconds), edge.seconds


def _thinned(options: ClipOptions, starts: list[FrameEdge], ends: list[FrameEdge]) -> Candidates:
    """Without points that are near others, ever more of them, until there are few enough windows."""
    apart_seconds = CELL_SECONDS
    sides = [starts, ends]
    while _count(options, *sides) > MAX_WINDOWS:
        sides = [_apart(side, apart_seconds) for side in (starts, ends)]
        apart_seconds *= 2
    return _paired(options, *sides, min_seconds=options.min_seconds)


def _apart(edges: list[FrameEdge], seconds: float) -> list[FrameEdge]:
    """The best edge of each step of so many seconds."""
    best: dict[int, FrameEdge] = {}
    for edge in sorted(edges, key=_preference):
        best.setdefault(math.floor(edge.seconds / seconds), edge)
    return sorted(best.values(), key=lambda edge: edge.frame)


def _count(options: ClipOptions, starts: list[FrameEdge], ends: list[FrameEdge]) -> int:
    lengths = {"min_seconds": options.min_seconds, "max_seconds": options.max_seconds}
    return count_between(_times(starts), _times(ends), **lengths)


def _paired(options: ClipOptions, starts: list[FrameEdge], ends: list[FrameEdge], *, min_seconds: float) -> Candidates:
    windows = Windows.between(_times(starts), _times(ends), min_seconds=min_seconds, max_seconds=options.max_seconds)
    return Candidates(starts, ends, windows)


def _times(edges: Sequence[FrameEdge]) -> Numbers:
    return np.array([edge.seconds for edge in edges], np.float64)
