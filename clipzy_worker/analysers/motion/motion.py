"""Motion intensity and camera movement of each shot and of the video."""

import math
from array import array

import numpy as np

from clipzy_storage.models.measurements import Motion, ShotMotion
from clipzy_worker.analysers.base import Frame
from clipzy_worker.analysers.motion.camera import ShotTrajectory
from clipzy_worker.analysers.motion.segments import Segment, Segments
from clipzy_worker.analysers.shots.per_shot import PerShot
from clipzy_worker.analysers.shots.shots import Shots

MAX_VALUES = 2000

_STEP_SECONDS = 0.5
_ROUNDING = 1e-6  # of a step
# In diagonals of the frame per second; the intensity of it is 50.
_ORDINARY_FLOW = 0.1


class FlowCurve:
    """The mean flow in steps of half a second, doubled whenever there would be more than ``MAX_VALUES``."""

    def __init__(self) -> None:
        self.step_seconds = _STEP_SECONDS
        self._seconds = array("d")  # measured in each step
        self._flow = array("d")  # weighted by these

    @property
    def flows(self) -> list[float]:
        """One value for each step; the last one again if nothing was measured in a step."""
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

    def reach(self, video_end_seconds: float, end_seconds: float) -> None:
        """Add what is left of the video, where nothing was measured, and the time after it, where nothing moves."""
        if end_seconds > video_end_seconds:
            self.add(video_end_seconds, end_seconds, 0.0)
        self._grow(math.ceil(end_seconds / self.step_seconds - _ROUNDING))

    def _grow(self, steps: int) -> None:
        missing = [0.0] * (steps - len(self._seconds))
        self._seconds.extend(missing)
        self._flow.extend(missing)

    def _coarsen(self) -> None:
        self.step_seconds *= 2
        for values in (self._seconds, self._flow):
            pairs = [sum(values[i : i + 2]) for i in range(0, len(values), 2)]
            values[:] = array("d", pairs)


class Motions:
    """A ``FrameAnalyser``, to be called after ``shots``. After ``finish``, ``of_shots`` has one entry for each shot and
    ``of_video`` is that of the whole; ``None`` if it is too short to measure motion."""

    def __init__(self, shots: Shots) -> None:
        self.of_shots: list[ShotMotion | None] = []
        self.of_video: Motion | None = None
        self._shots = shots
        self._segments = Segments()
        self._curve = FlowCurve()
        self._height = 1.0
        self._begun = 0
        self._video_end_seconds = 0.0
        self._per_shot = PerShot(shots, self._begin)
        self._seconds = self._flow = self._tracked_seconds = self._zoom_seconds = 0.0

    def process(self, frame: Frame) -> None:
        self._height = frame.pixels.shape[0] / frame.pixels.shape[1]
        self._video_end_seconds = frame.until_seconds
        self._add(self._segments.process(frame))

    def finish(self, end_seconds: float) -> None:
        self._add(self._segments.finish())
        self._curve.reach(self._video_end_seconds, end_seconds)
        if self._seconds:
            share = self._zoom_seconds / self._tracked_seconds if self._tracked_seconds else 0.0
            self.of_video = Motion(intensity=intensity(self._flow / self._seconds), zoom_percent=round(100 * share, 1))

    @property
    def step_seconds(self) -> float:
        """The step of ``intensities``."""
        return self._curve.step_seconds

    @property
    def intensities(self) -> list[float]:
        """The intensity in each step from the beginning of the video."""
        return [intensity(flow) for flow in self._curve.flows]

    def _add(self, segments: list[Segment]) -> None:
        for segment in segments:
            self._per_shot.add(segment.until_seconds, segment)
        for _shot, total in self._per_shot.settled():
            self._close(total)

    def _begin(self) -> "_Sum":
        start_seconds = self._shots.settled[self._begun - 1].end_seconds if self._begun else 0.0
        self._begun += 1
        return _Sum(start_seconds, self._curve)

    def _close(self, total: "_Sum") -> None:
        if not total.seconds:
            self.of_shots.append(None)
            return
        trajectory = ShotTrajectory.of(np.array(total.camera_rows), height=self._height)
        self._seconds += total.seconds
        self._flow += total.flow
        self._tracked_seconds += total.tracked_seconds
        self._zoom_seconds += trajectory.zoom_seconds
        camera = trajectory.camera(total.tracked_seconds, height=self._height)
        self.of_shots.append(ShotMotion(intensity=intensity(total.flow / total.seconds), camera=camera))


def intensity(flow: float) -> float:
    """0 to below 100, from the mean optical flow in diagonals of the frame per second: 0 without motion, 50 for that of
    ordinary video."""
    return round(100 * flow / (flow + _ORDINARY_FLOW), 1)


class _Sum:
    """The sum of the segments of one shot, without those that began before it and span the boundary."""

    def __init__(self, start_seconds: float, curve: FlowCurve) -> None:
        self.seconds = self.flow = self.tracked_seconds = 0.0
        self.camera_rows = array("d")  # rows of a ``ShotTrajectory``
        self._start_seconds = start_seconds
        self._curve = curve

    def add(self, _seconds: float, segment: Segment) -> None:
        if segment.since_seconds < self._start_seconds:
            return
        seconds = segment.until_seconds - segment.since_seconds
        self.seconds += seconds
        self.flow += seconds * segment.flow
        self.tracked_seconds += seconds if segment.is_tracked else 0
        self._curve.add(segment.since_seconds, segment.until_seconds, segment.flow)
        if (camera := segment.camera) is not None:
            row = (seconds, camera.velocity.real, camera.velocity.imag, camera.zoom, camera.shake)
            self.camera_rows.extend(row)
