"""Which frames of a high rate are examined: those in between, where something changes."""

from clipzy_worker.analysers.base import Frame, distance

# Of two examined frames, unless something happens between them: all up to 31 frames per second.
_MIN_INTERVAL_SECONDS = 1 / 31
# The detectors look at no change that is smaller.
_MAX_CHANGE_LEVELS = 2.5
_MAX_WAITING = 8


class EnoughFrames:
    """Takes every frame in order, and chooses those for analysers that look at changes. They are given their ``index``.

    Of frames that follow each other faster than 31 times per second those are passed over that lie between two which
    are alike; nothing is computed of them. The frame displayed at a moment may be one of them, so that who shows one
    must take all.
    """

    def __init__(self) -> None:
        self._last: Frame | None = None
        self._between: list[Frame] = []
        self._chosen = 0

    def process(self, frame: Frame, *, may_wait: bool) -> list[Frame]:
        """The frames that are chosen now: this one, and those that waited for it.

        Those that wait are kept as they were decoded, which takes memory; this one does not if ``may_wait`` is false.
        """
        last, between = self._last, self._between
        is_soon = last is not None and frame.seconds - last.seconds < _MIN_INTERVAL_SECONDS
        if is_soon and may_wait and len(between) < _MAX_WAITING:
            between.append(frame)
            return []
        self._last, self._between = frame, []
        return self._numbered([*(_differing(last, between, frame) if last else []), frame])

    def finish(self) -> list[Frame]:
        """The frames that still wait for one."""
        return self._numbered(self._between)

    def _numbered(self, frames: list[Frame]) -> list[Frame]:
        for frame in frames:
            frame.index, self._chosen = self._chosen, self._chosen + 1
        return frames


def _differing(one: Frame, between: list[Frame], other: Frame) -> list[Frame]:
    """Those frames between two others by which each two that follow each other are alike, as far as there are any."""
    if not between or distance(one.signature, other.signature) <= _MAX_CHANGE_LEVELS:
        return []
    middle = len(between) // 2
    chosen = between[middle]
    return [
        *_differing(one, between[:middle], chosen),
        chosen,
        *_differing(chosen, between[middle + 1 :], other),
    ]
