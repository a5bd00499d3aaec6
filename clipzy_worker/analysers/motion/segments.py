"""Motion in segments of less than half a second, each sampled by a few pairs of frames."""

import math
from dataclasses import dataclass, replace

import cv2

from clipzy_worker.analysers.base import Frame, Pixels, Signature, distance
from clipzy_worker.analysers.motion.optical_flow import OpticalFlow
from clipzy_worker.analysers.motion.similarity_transform import Similarity

# The length of segments varies, so that no rhythm of repeated frames is missed.
_MIN_SEGMENT_SECONDS, _VARIATION_SECONDS = 0.36, 0.12
_GOLDEN_RATIO = 0.6180339887
# Between the frames of a pair. At high frame rates the motion from frame to frame is too small to be measured.
_MIN_PAIR_SECONDS = 0.03
# A frame that stays longer is held, and changes within so much time as a step takes in ordinary video.
_MIN_HELD_SECONDS, _CHANGE_SECONDS = 0.4, 0.04
# On average. Coding changes a repeated frame by less.
_REPEATED_LEVELS = 0.3
_MAX_REPEATED_SECONDS = 1.0
# In diagonals or widths of the frame. Larger displacements are not tracked reliably.
_MAX_DISPLACEMENT = 0.06
# In widths from the centre. There a zoom displaces pixels as a pan does.
_ZOOM_RADIUS = 0.4
_MIN_SCALE = 0.01
# Any cut is more.
_JUMP_LEVELS = 12.0
# A jump is tracked only if the last tracked segment ended this long ago.
_MIN_TRACKED_JUMP_INTERVAL_SECONDS = 0.1
# Between the frames of a pair. More is a flash or a fade, in which no flow can be measured.
_MAX_BRIGHTNESS_CHANGE_LEVELS = 8.0


@dataclass(frozen=True)
class CameraMotion:
    """``velocity`` is in widths of the frame per second, to the right and, as the imaginary part, down; ``zoom`` is the
    growth of the logarithm of the scale per second; ``shake`` is the mean square deviation of the momentary velocity
    from that of the segment."""

    velocity: complex
    zoom: float
    shake: float


@dataclass(frozen=True)
class Segment:
    """From the time of one frame to that of another. ``flow`` is its mean, in diagonals of the frame per second;
    ``camera`` is ``None`` if the segment is not tracked, or the tracking found no global motion."""

    since_seconds: float
    until_seconds: float
    flow: float
    is_tracked: bool
    camera: CameraMotion | None


@dataclass(frozen=True)
class _FrameData:
    seconds: float
    luma: Pixels
    signature: Signature
    mean: float
    is_blank: bool


@dataclass(frozen=True)
class _Pair:
    """The motion between two frames that are ``seconds`` apart; ``flow`` is in diagonals."""

    seconds: float
    flow: float
    motion: Similarity | None = None

    @property
    def velocity(self) -> complex:
        """That of the camera, which is opposite to that of the image."""
        return -self.motion.shift / self.seconds if self.motion else 0j

    @property
    def zoom(self) -> float:
        return math.log(max(abs(1 + self.motion.growth), _MIN_SCALE)) / self.seconds if self.motion else 0.0


class Segments:
    """Divides the video into consecutive segments. A jump is a segment of its own, so that no other one spans a cut.
    Holds the frames of one segment."""

    def __init__(self) -> None:
        self._flow: OpticalFlow | None = None
        self._frames: list[_FrameData] = []  # in this segment
        self._pairs: list[_Pair] = []
        self._count = 0
        self._held_until_seconds = 0.0  # the last frame
        self._tracked_until_seconds = -_MIN_TRACKED_JUMP_INTERVAL_SECONDS

    def process(self, frame: Frame) -> list[Segment]:
        """The segments that end with this frame."""
        flow = self._flow = self._flow or OpticalFlow(frame.small_luma.shape[1], frame.small_luma.shape[0])
        data = _FrameData(frame.seconds, flow.resized(frame.small_luma), frame.signature, frame.mean, frame.is_blank)
        if self._is_repeated(data):
            self._held_until_seconds = frame.until_seconds
            return []
        held = self._held(flow)
        self._held_until_seconds = frame.until_seconds
        return held + self._follow(flow, data)

    def _is_repeated(self, data: _FrameData) -> bool:
        """Whether the last frame is merely shown on, as where a variable rate was made constant."""
        if not self._frames or data.seconds - self._frames[-1].seconds > _MAX_REPEATED_SECONDS:
            return False
        return cv2.norm(self._frames[-1].luma, data.luma, cv2.NORM_L1) <= _REPEATED_LEVELS * data.luma.size

    def _follow(self, flow: OpticalFlow, data: _FrameData) -> list[Segment]:
        if self._frames and distance(self._frames[-1].signature, data.signature) >= _JUMP_LEVELS:
            return self._jump(flow, data)
        return self._append(flow, data)

    def _append(self, flow: OpticalFlow, data: _FrameData) -> list[Segment]:
        self._frames.append(data)
        passed = data.seconds - self._frames[0].seconds
        if passed >= _MIN_SEGMENT_SECONDS + _VARIATION_SECONDS * self._quasi_random(0):
            return self._end_segment(flow)
        if not self._pairs and passed >= _MIN_SEGMENT_SECONDS * (0.2 + 0.6 * self._quasi_random(1)):
            self._pairs += filter(None, [self._pair(flow, self._near(), tracked=False)])
        return []

    def finish(self) -> list[Segment]:
        """The segments that are still open."""
        return (self._held(self._flow) if self._flow else []) + self._end_open_segment()

    def _end_open_segment(self) -> list[Segment]:
        return self._end_segment(self._flow) if self._flow and len(self._frames) > 1 else []

    def _held(self, flow: OpticalFlow) -> list[Segment]:
        """The segments of the time for which the last frame stays: without motion, until shortly before the next one,
        as if it were repeated."""
        if not self._frames:
            return []
        until_seconds = self._held_until_seconds - _CHANGE_SECONDS
        last = self._frames[-1]
        if until_seconds - last.seconds < _MIN_HELD_SECONDS:
            return []
        return self._end_open_segment() + self._append(flow, replace(last, seconds=until_seconds))

    def _jump(self, optical_flow: OpticalFlow, data: _FrameData) -> list[Segment]:
        """The open segment, and one for the jump; of many jumps in succession only some are tracked."""
        before = self._end_open_segment()
        self._frames = [self._frames[-1], data]
        tracked = data.seconds - self._tracked_until_seconds >= _MIN_TRACKED_JUMP_INTERVAL_SECONDS
        return before + self._end_segment(optical_flow, tracked=tracked)

    def _end_segment(self, optical_flow: OpticalFlow, *, tracked: bool = True) -> list[Segment]:
        """The segment of the frames so far, unless none of them can be compared."""
        first, last = self._frames[0], self._frames[-1]
        near = self._pair(optical_flow, self._near(), tracked=tracked)
        pairs = self._pairs + ([near] if near else [])
        flow = sum(pair.flow for pair in pairs) / sum(pair.seconds for pair in pairs) if pairs else 0.0
        far = self._distant_pair(optical_flow, near, flow) if near and near.motion else None
        found = [Segment(first.seconds, last.seconds, flow, tracked, _camera(near, far))] if pairs else []
        self._tracked_until_seconds = last.seconds if tracked else self._tracked_until_seconds
        self._frames, self._pairs = [last], []
        self._count += 1
        return found

    def _pair(self, optical_flow: OpticalFlow, before: _FrameData, *, tracked: bool) -> _Pair | None:
        """The motion from ``before`` to the last frame; ``None`` if the brightness changed too much."""
        after = self._frames[-1]
        seconds = after.seconds - before.seconds
        if before.is_blank and after.is_blank:
            return _Pair(seconds, 0.0)
        if abs(before.mean - after.mean) > _MAX_BRIGHTNESS_CHANGE_LEVELS:
            return None
        dense = optical_flow.dense(before.luma, after.luma)
        motion = optical_flow.global_motion(before.luma, after.luma, dense) if tracked else None
        return _Pair(seconds, optical_flow.mean(dense), motion)

    def _near(self) -> _FrameData:
        """The last frame but one, or an earlier one at high frame rates."""
        latest = self._frames[-1].seconds - _MIN_PAIR_SECONDS
        return next((data for data in reversed(self._frames[:-1]) if data.seconds <= latest), self._frames[-2])

    def _distant_pair(self, optical_flow: OpticalFlow, near: _Pair, flow: float) -> _Pair | None:
        """The motion since the earliest frame from which the displacement at this speed is not too large."""
        speed = max(flow, abs(near.velocity) + _ZOOM_RADIUS * abs(near.zoom), _MAX_DISPLACEMENT)
        earliest = self._frames[-1].seconds - _MAX_DISPLACEMENT / speed
        before = next(data for data in self._frames if data.seconds >= earliest)
        nearest = self._near()
        return near if before.seconds >= nearest.seconds else self._pair(optical_flow, before, tracked=True)

    def _quasi_random(self, salt: int) -> float:
        """A low-discrepancy sequence from 0 to 1."""
        return (self._count * _GOLDEN_RATIO + salt / 2) % 1


def _camera(near: _Pair | None, far: _Pair | None) -> CameraMotion | None:
    """The far pair has the exact speed, the near one the shake."""
    if near is None or near.motion is None:
        return None
    steady = far if far is not None and far.motion is not None else near
    return CameraMotion(steady.velocity, steady.zoom, abs(near.velocity - steady.velocity) ** 2)
