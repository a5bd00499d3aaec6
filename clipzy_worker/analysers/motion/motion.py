"""How much moves, and what the camera does, shot by shot."""

from array import array
from typing import Any

import numpy as np

from clipzy_worker.analysers.base import Frame
from clipzy_worker.analysers.motion.camera import ShotTrajectory
from clipzy_worker.analysers.motion.segments import Segment, Segments
from clipzy_worker.analysers.shots.per_shot import PerShot
from clipzy_worker.analysers.shots.shots import Shots

MAX_VALUES = 2000

_STEP_SECONDS = 0.5


class FlowCurve:
    """The mean in steps of half a second, and of twice as much whenever there would be more than ``MAX_VALUES``."""

    def __init__(self) -> None:
        self.step_seconds = _STEP_SECONDS
        self._seconds = array("d")  # known of each step
        self._flow = array("d")  # times those

    @property
    def flows(self) -> list[float]:
        """One for each step; where nothing is known, it goes on as before."""
        found = [0.0]
        for seconds, flow in zip(self._seconds, self._flow, strict=True):
            found.append(flow / seconds if seconds else found[-1])
        return found[1:]

    def add(self, since_seconds: float, until_seconds: float, flow: float) -> None:
        while until_seconds > MAX_VALUES * self.step_seconds:
            self._coarsen()
        step = int(since_seconds / self.step_seconds)
        while (begin := step * self.step_seconds) < until_seconds:
            self._grow(step + 1)
            seconds = min(until_seconds, begin + self.step_seconds) - max(since_seconds, begin)
            self._seconds[step] += seconds
            self._flow[step] += seconds * flow
            step += 1

    def _grow(self, steps: int) -> None:
        missing = [0.0] * (steps - len(self._seconds))
        self._seconds.extend(missing)
        self._flow.extend(missing)

    def _coarsen(self) -> None:
        self.step_seconds *= 2
        for values in (self._seconds, self._flow):
            pairs = [sum(values[i : i + 2]) for i in range(0, len(values), 2)]
            values[:] = array("d", pairs)


_ORDINARY_FLOW = 0.1  # diagonals of the picture a second: intensity 50


class Motions:
    """An analyser, to be asked after ``shots``. After ``finish``, ``of_shots`` has a ``ShotMotion`` for each shot,
    ``None`` for one too short to see anything move; ``of_film`` is a ``Motion``, ``None`` where that is true of all."""

    def __init__(self, shots: Shots) -> None:
        self.of_shots: list[dict[str, Any] | None] = []
        self.of_film: dict[str, Any] | None = None
        self._shots = shots
        self._strides = Segments()
        self._curve = FlowCurve()
        self._height = 1.0
        self._begun = 0
        self._per_shot = PerShot(shots, self._begin)
        self._seconds = self._flow = self._followed_seconds = self._zoom_seconds = 0.0

    def process(self, frame: Frame) -> None:
        self._height = frame.pixels.shape[0] / frame.pixels.shape[1]
        self._add(self._strides.process(frame))

    def finish(self, end_seconds: float) -> None:  # noqa: ARG002 - of the protocol
        self._add(self._strides.finish())
        if self._seconds:
            share = self._zoom_seconds / self._followed_seconds if self._followed_seconds else 0.0
            self.of_film = {"intensity": intensity(self._flow / self._seconds), "zoom_percent": round(100 * share, 1)}

    @property
    def curve(self) -> dict[str, Any]:
        """Intensity over time: ``step_seconds``, and ``intensity`` for each step from the film's beginning."""
        return {"step_seconds": self._curve.step_seconds, "intensity": [intensity(flow) for flow in self._curve.flows]}

    def _add(self, strides: list[Segment]) -> None:
        for stride in strides:
            self._per_shot.add(stride.until_seconds, stride)
        for _shot, moved in self._per_shot.settled():
            self._close(moved)

    def _begin(self) -> "_Sum":
        start_seconds = self._shots.settled[self._begun - 1].end_seconds if self._begun else 0.0
        self._begun += 1
        return _Sum(start_seconds, self._curve)

    def _close(self, moved: "_Sum") -> None:
        if not moved.seconds:
            self.of_shots.append(None)
            return
        course = ShotTrajectory.of(np.array(moved.travels), height=self._height)
        self._seconds += moved.seconds
        self._flow += moved.flow
        self._followed_seconds += moved.followed_seconds
        self._zoom_seconds += course.zoom_seconds
        camera = course.camera(moved.followed_seconds, height=self._height)
        self.of_shots.append({"intensity": intensity(moved.flow / moved.seconds), "camera": camera})


def intensity(flow: float) -> float:
    """0 to 100, from the mean optical flow in diagonals of the picture a second: 0 where nothing moves, 50 where the
    flow is that of ordinary footage, and never quite 100."""
    return round(100 * flow / (flow + _ORDINARY_FLOW), 1)


class _Sum:
    """The strides of one shot; those that began before it are of a change of shots and do not count."""

    def __init__(self, start_seconds: float, curve: FlowCurve) -> None:
        self.seconds = self.flow = self.followed_seconds = 0.0
        self.travels = array("d")  # rows of a ``ShotTrajectory``
        self._start_seconds = start_seconds
        self._curve = curve

    def add(self, _seconds: float, stride: Segment) -> None:
        if stride.since_seconds < self._start_seconds:
            return
        seconds = stride.until_seconds - stride.since_seconds
        self.seconds += seconds
        self.flow += seconds * stride.flow
        self.followed_seconds += seconds if stride.is_followed else 0
        self._curve.add(stride.since_seconds, stride.until_seconds, stride.flow)
        if (travel := stride.travel) is not None:
            row = (seconds, travel.velocity.real, travel.velocity.imag, travel.zoom, travel.shake)
            self.travels.extend(row)
