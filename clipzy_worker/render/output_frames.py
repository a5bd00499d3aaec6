"""Which frame of the source each frame of a rendered section shows, and when. Pure."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import repeat

from clipzy_worker.decode.frame_index import FrameIndex

SOURCE_TIME_BASE = Fraction(1, 90_000)
"""Of the stamps of a section that keeps the times of its source's frames."""

# Of a frame: how far the frames of a camera, which has no constant rate but nearly so, may lie from it.
_JITTER_RATIO = 0.25
# Times are rounded to milliseconds in Matroska.
_ROUNDING_SECONDS = 0.0011


@dataclass(frozen=True)
class OutputFrames:
    """The frames of one rendered section in order: ``sources`` are numbers of the source's frames, which never fall,
    and ``stamps`` the beginning of each in units of ``time_base``, from 0 on. ``end`` is where the last one ends."""

    time_base: Fraction
    sources: Sequence[int]
    stamps: Sequence[int]
    end: int

    def __len__(self) -> int:
        return len(self.sources)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Source and stamp of each."""
        return zip(self.sources, self.stamps, strict=True)

    def duration_of(self, number: int) -> int:
        """How long a frame is shown, in units of ``time_base``."""
        after = self.stamps[number + 1] if number + 1 < len(self) else self.end
        return after - self.stamps[number]

    @property
    def duration_seconds(self) -> Fraction:
        return self.end * self.time_base


def output_frames(index: FrameIndex, frames: range, *, rate: Fraction | None) -> OutputFrames:
    """The frames of a section, which is not empty; ``rate`` is None if each keeps its own time.

    At a rate, frame k shows what the source shows at k/rate, and there are as many as fit best. A source that has this
    rate itself, but for a jitter, gives each of its frames once.
    """
    start_seconds = index.seconds_of(frames.start)
    length_seconds = index.seconds_of(frames.stop) - start_seconds
    if rate is None:
        per_second = int(1 / SOURCE_TIME_BASE)
        stamps = array("q", (round((index.seconds_of(frame) - start_seconds) * per_second) for frame in frames))
        return OutputFrames(SOURCE_TIME_BASE, frames, stamps, max(round(length_seconds * per_second), stamps[-1] + 1))
    step_seconds = float(1 / rate)
    count = max(1, round(length_seconds / step_seconds))
    choose = _each if _has_step(index, frames, step_seconds) else _sampled
    sources = choose(index, frames, step_seconds, count)
    return OutputFrames(1 / rate, sources, range(len(sources)), len(sources))


def _has_step(index: FrameIndex, frames: range, step_seconds: float) -> bool:
    start_seconds, most_seconds = index.seconds_of(frames.start), _JITTER_RATIO * step_seconds
    return all(
        abs(index.seconds_of(frame) - start_seconds - number * step_seconds) <= most_seconds
        for number, frame in enumerate(frames)
    )


def _each(_index: FrameIndex, frames: range, _step_seconds: float, count: int) -> Sequence[int]:
    """Every frame, and the last one for as long as it is shown."""
    return array("q", (*frames, *repeat(frames[-1], count - len(frames))))


def _sampled(index: FrameIndex, frames: range, step_seconds: float, count: int) -> Sequence[int]:
    early_seconds = min(_ROUNDING_SECONDS, _JITTER_RATIO * step_seconds)
    first_seconds = index.seconds_of(frames.start) + early_seconds
    shown = (index.frame_at(first_seconds + number * step_seconds) for number in range(count))
    return array("q", (min(frame, frames[-1]) for frame in shown))
