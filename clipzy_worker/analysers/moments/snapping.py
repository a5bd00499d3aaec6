"""Moves the edges of clips to where they disturb least: out of speech, onto cuts and beats, and onto frames."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from clipzy_storage.models.clip_options import SnapOptions
from clipzy_worker.analysers.moments.pauses import Pause, Pauses, Side

EdgeKind = Literal["shot", "pause", "beat", "grid", "asked", "end"]

SLIVER_SECONDS = 0.5
"""A clip shows no less of a neighbouring shot."""

_ROUNDING_SECONDS = 1e-6
_DECIMALS = 6


class FrameTimes(Protocol):
    """When each frame is displayed, as ``decode.frame_index`` knows it."""

    @property
    def end_seconds(self) -> float: ...

    def __len__(self) -> int: ...

    def seconds_of(self, frame: int) -> float:
        """When a frame is first displayed; ``end_seconds`` for the one after the last."""

    def frame_at(self, seconds: float) -> int:
        """The frame that is displayed at a time; the first one also before it, and the last one also after it."""

    def frames_of(self, start_seconds: float, end_seconds: float) -> range:
        """The frames that are displayed in a section, up to but without ``end_seconds``."""


@dataclass(frozen=True)
class Point:
    """Where a clip may begin or end."""

    seconds: float
    kind: EdgeKind


@dataclass(frozen=True)
class FrameEdge:
    """The first frame of a clip, or the one after its last. ``moved_seconds`` is counted from the unsnapped point."""

    frame: int
    seconds: float
    kind: EdgeKind
    moved_seconds: float


class Snapper:
    """Snaps points in this order: out of speech; to a cut within the tolerance in the same pause; no sliver of a shot;
    to a beat; to frames, a start down and an end up.

    ``cuts`` are where shots begin, without the first one, and ``beats`` those that are clear enough; both in order.
    """

    def __init__(
        self,
        options: SnapOptions,
        frames: FrameTimes,
        *,
        pauses: Pauses,
        cuts: Sequence[float],
        beats: Sequence[float],
    ) -> None:
        self._options, self._frames, self._pauses = options, frames, pauses
        self._begin, self._end = frames.seconds_of(0), frames.end_seconds
        self._cuts = cuts if options.shots else ()
        self._beats = beats if options.beats else ()

    def snapped(self, point: Point, side: Side, *, may_cut: bool = False) -> FrameEdge | None:
        """``None`` if a sliver cannot be avoided. With ``may_cut`` a point within speech stays there."""
        if may_cut and self._pauses.speech_at(point.seconds) is not None:
            return self._on_frame(point, point, side)
        pause = self._pauses.at(point.seconds, side) if self._options.speech else self._everywhere
        found = self._out_of_speech(point, pause)
        found = self._on_cut(found, side, pause)
        whole = self._without_sliver(found, side, pause)
        return self._on_frame(self._on_beat(whole, side, pause), point, side) if whole else None

    def on_frame(self, point: Point, side: Side) -> FrameEdge:
        """Snapped to frames only."""
        return self._on_frame(point, point, side)

    @property
    def _everywhere(self) -> Pause:
        return Pause(self._begin, self._begin, self._end, self._end)

    def _out_of_speech(self, point: Point, pause: Pause) -> Point:
        seconds = pause.clamped(point.seconds)
        return point if seconds == point.seconds else Point(seconds, "pause")

    def _on_cut(self, point: Point, side: Side, pause: Pause) -> Point:
        own_end = Point(self._begin, "end") if side == "start" else Point(self._end, "end")
        cuts = [Point(cut, "shot") for cut in _around(self._cuts, point.seconds)]
        return _nearest([own_end, *cuts], point, pause, self._options.tolerance_seconds)

    def _without_sliver(self, point: Point, side: Side, pause: Pause) -> Point | None:
        """Further away from the middle of the clip, as far as the pause reaches."""
        while (cut := self._sliver_at(point.seconds, side)) is not None:
            if pause.has(cut):
                return Point(cut, "shot")
            seconds = cut - SLIVER_SECONDS if side == "start" else cut + SLIVER_SECONDS
            if not pause.low <= seconds <= pause.high:
                return None
            point = replace(point, seconds=seconds)
        return point

    def _sliver_at(self, seconds: float, side: Side) -> float | None:
        """The cut that is so near that a clip with this edge would show only a sliver of a shot."""
        if side == "start":
            cut = (
                self._cuts[at]
                if (at := bisect_right(self._cuts, seconds + _ROUNDING_SECONDS)) < len(self._cuts)
                else None
            )
        else:
            cut = self._cuts[at - 1] if (at := bisect_left(self._cuts, seconds - _ROUNDING_SECONDS)) > 0 else None
        is_on_cut = any(abs(one - seconds) <= _ROUNDING_SECONDS for one in _around(self._cuts, seconds))
        if cut is None or is_on_cut or abs(cut - seconds) >= SLIVER_SECONDS - _ROUNDING_SECONDS:
            return None
        return cut

    def _on_beat(self, point: Point, side: Side, pause: Pause) -> Point:
        if point.kind in ("shot", "end"):
            return point
        beats = [Point(beat, "beat") for beat in _around(self._beats, point.seconds)]
        kept = [one for one in beats if pause.clamped(one.seconds) == one.seconds]
        found = _nearest(kept, point, pause, self._options.tolerance_seconds)
        return point if self._sliver_at(found.seconds, side) is not None else found

    def _on_frame(self, point: Point, raw: Point, side: Side) -> FrameEdge:
        seconds = min(max(point.seconds, self._begin), self._end)
        frame = self._frames.frame_at(seconds) if side == "start" else self._frame_after(seconds)
        at = self._frames.seconds_of(frame)
        return FrameEdge(frame, at, point.kind, round(at - raw.seconds, _DECIMALS))

    def _frame_after(self, seconds: float) -> int:
        """The first frame that is not displayed before this time."""
        return self._frames.frames_of(self._begin, seconds).stop


def _around(times: Sequence[float], seconds: float) -> Sequence[float]:
    """The last one up to this time, and the first one from it on."""
    at = bisect_left(times, seconds)
    return times[max(at - 1, 0) : at + 1]


def _nearest(points: Sequence[Point], origin: Point, pause: Pause, tolerance_seconds: float) -> Point:
    """The one that is nearest to ``origin`` in the same pause and within the tolerance, else ``origin``."""
    near = [one for one in points if abs(one.seconds - origin.seconds) <= tolerance_seconds and pause.has(one.seconds)]
    return min(near, key=lambda one: abs(one.seconds - origin.seconds)) if near else origin
