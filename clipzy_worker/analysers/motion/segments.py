"""What moved, less than half a second at a time: a few pairs of pictures stand for each stride of the film."""

import math
from dataclasses import dataclass

from clipzy_worker.analysers.base import Frame, Pixels, Signature, distance
from clipzy_worker.analysers.motion.optical_flow import Flow
from clipzy_worker.analysers.motion.similarity_transform import Similarity

_SECONDS, _MORE_SECONDS = 0.36, 0.12  # of a stride; they vary, so that no rhythm of repeated pictures escapes
_GOLDEN = 0.6180339887
_PAIR_SECONDS = 0.03  # at least, between the two of a pair; at high frame rates steps are too small to be measured
_MAX_STEP = 0.06  # diagonals or widths of the picture; larger ones are not followed surely
_ZOOM_REACH = 0.4  # widths from the middle, where a zoom moves the picture as a pan does
_LEAST_SCALE = 0.01  # that one picture can be to another
_JUMP = 12.0  # levels; any cut is more
_JUMP_SECONDS = 0.1  # after a stride that was followed, until a jump is followed too
_MAX_LIGHTER = 8.0  # levels between the two of a pair; more is a flash or a fade, and flow is not to be seen in it


@dataclass(frozen=True)
class CameraMotion:
    """How the camera goes: ``velocity`` in widths of the picture a second, to the right and, as the imaginary part,
    down; ``zoom``, by how much the logarithm of the scale grows in a second; ``shake``, the mean square of the moment's
    velocity less that of the stride."""

    velocity: complex
    zoom: float
    shake: float


@dataclass(frozen=True)
class Segment:
    """From the time of one frame to that of another: mean optical flow, in diagonals of the picture a second, and where
    it is followed the camera's travel, ``None`` where that cannot be told."""

    since_seconds: float
    until_seconds: float
    flow: float
    is_followed: bool
    travel: CameraMotion | None


@dataclass(frozen=True)
class _Seen:
    seconds: float
    luma: Pixels
    signature: Signature
    mean: float
    is_blank: bool


@dataclass(frozen=True)
class _Pair:
    """What changed between two pictures in so many seconds: flow in diagonals."""

    seconds: float
    flow: float
    whole: Similarity | None = None

    @property
    def velocity(self) -> complex:
        """The camera's: it goes where the picture comes from."""
        return -self.whole.shift / self.seconds if self.whole else 0j

    @property
    def zoom(self) -> float:
        return math.log(max(abs(1 + self.whole.growth), _LEAST_SCALE)) / self.seconds if self.whole else 0.0


class Segments:
    """Cuts the film into strides that follow each other. Where the picture jumps, one ends before and one after it, so
    that none goes across a cut and another part of the film. Holds the pictures of one stride."""

    def __init__(self) -> None:
        self._flow: Flow | None = None
        self._seen: list[_Seen] = []  # in this stride
        self._pairs: list[_Pair] = []
        self._begun = 0
        self._followed_seconds = -_JUMP_SECONDS

    def process(self, frame: Frame) -> list[Segment]:
        """The strides that end with this frame."""
        flow = self._flow = self._flow or Flow(frame.small_luma.shape[1], frame.small_luma.shape[0])
        seen = _Seen(frame.seconds, flow.sized(frame.small_luma), frame.signature, frame.mean, frame.is_blank)
        if self._seen and distance(self._seen[-1].signature, seen.signature) >= _JUMP:
            return self._jump(seen)
        self._seen.append(seen)
        passed = seen.seconds - self._seen[0].seconds
        if passed >= _SECONDS + _MORE_SECONDS * self._chance(0):
            return self._end()
        if not self._pairs and passed >= _SECONDS * (0.2 + 0.6 * self._chance(1)):
            self._pairs += filter(None, [self._look(self._near(), closely=False)])
        return []

    def finish(self) -> list[Segment]:
        """The stride that has not come to its end."""
        return self._end() if len(self._seen) > 1 else []

    def _jump(self, seen: _Seen) -> list[Segment]:
        """What went before ends, and the jump is a stride of its own; of many jumps only some are followed."""
        before = self.finish()
        self._seen = [self._seen[-1], seen]
        closely = seen.seconds - self._followed_seconds >= _JUMP_SECONDS
        return before + self._end(closely=closely)

    def _end(self, *, closely: bool = True) -> list[Segment]:
        """The stride of what has been seen, unless nothing in it can be compared."""
        first, last = self._seen[0], self._seen[-1]
        near = self._look(self._near(), closely=closely)
        pairs = self._pairs + ([near] if near else [])
        flow = sum(pair.flow / pair.seconds for pair in pairs) / max(len(pairs), 1)
        far = self._look_far(near, flow) if near and near.whole else None
        found = [Segment(first.seconds, last.seconds, flow, closely, _travel(near, far))] if pairs else []
        self._followed_seconds = last.seconds if closely else self._followed_seconds
        self._seen, self._pairs = [last], []
        self._begun += 1
        return found

    def _look(self, before: _Seen, *, closely: bool) -> _Pair | None:
        """What changed from ``before`` until now; ``None`` where the light did."""
        assert self._flow is not None
        after = self._seen[-1]
        seconds = after.seconds - before.seconds
        if before.is_blank and after.is_blank:
            return _Pair(seconds, 0.0)
        if abs(before.mean - after.mean) > _MAX_LIGHTER:
            return None
        dense = self._flow.dense(before.luma, after.luma)
        whole = self._flow.whole(before.luma, after.luma, dense) if closely else None
        return _Pair(seconds, self._flow.mean(dense), whole)

    def _near(self) -> _Seen:
        """The last picture but one, or an earlier one where pictures come thick and fast."""
        latest = self._seen[-1].seconds - _PAIR_SECONDS
        return next((seen for seen in reversed(self._seen[:-1]) if seen.seconds <= latest), self._seen[-2])

    def _look_far(self, near: _Pair, flow: float) -> _Pair | None:
        """What changed since the earliest picture from which a step at this speed is not too large."""
        speed = max(flow, abs(near.velocity) + _ZOOM_REACH * abs(near.zoom), _MAX_STEP)
        earliest = self._seen[-1].seconds - _MAX_STEP / speed
        before = next(seen for seen in self._seen if seen.seconds >= earliest)
        nearest = self._near()
        return near if before.seconds >= nearest.seconds else self._look(before, closely=True)

    def _chance(self, salt: int) -> float:
        """Evenly spread from 0 to 1, and always the same."""
        return (self._begun * _GOLDEN + salt / 2) % 1


def _travel(near: _Pair | None, far: _Pair | None) -> CameraMotion | None:
    """The far pair tells the speed exactly, the near one how unsteady it is."""
    if near is None or near.whole is None:
        return None
    steady = far if far is not None and far.whole is not None else near
    return CameraMotion(steady.velocity, steady.zoom, abs(near.velocity - steady.velocity) ** 2)
