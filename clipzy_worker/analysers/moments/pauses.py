"""The pauses of speech, in which a clip may begin or end."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from clipzy_storage.models.measurements import Span

Side = Literal["start", "end"]


@dataclass(frozen=True)
class Pause:
    """From the end of one section with speech to the start of the next.

    Between ``low`` and ``high`` the margin is kept to both, or both are the middle of a pause that is too short for it;
    between ``lowest`` and ``highest`` half of that is kept, which is enough if a cut is there.
    """

    lowest: float
    low: float
    high: float
    highest: float

    def clamped(self, seconds: float) -> float:
        return min(max(seconds, self.low), self.high)

    def has(self, seconds: float) -> bool:
        return self.lowest <= seconds <= self.highest


class Pauses:
    """Those between the sections of ``speech``, which are in order, from the beginning of the video to its end."""

    def __init__(self, speech: Sequence[Span], *, begin: float, end: float, margin_seconds: float) -> None:
        self._starts = [span.start_seconds for span in speech]
        self._ends = [span.end_seconds for span in speech]
        self._begin, self._end = min([begin, *self._starts[:1]]), max([end, *self._ends[-1:]])
        self._margin_seconds = margin_seconds

    def __len__(self) -> int:
        return len(self._starts) + 1

    def at(self, seconds: float, side: Side) -> Pause:
        """The pause at this time; of a time within speech the one before it for a start, the one after for an end."""
        number = bisect_right(self._ends, seconds)
        is_within = self.speech_at(seconds) is not None
        return self.pause(number + 1 if is_within and side == "end" else number)

    def pause(self, number: int) -> Pause:
        """Pause 0 is the one before all speech."""
        is_first, is_last = number == 0, number == len(self._starts)
        begin = self._begin if is_first else self._ends[number - 1]
        end = self._end if is_last else self._starts[number]
        margin = max(min(self._margin_seconds, (end - begin) / 2), 0.0)
        before, after = (0.0 if is_first else margin), (0.0 if is_last else margin)
        return Pause(begin + before / 2, begin + before, end - after, end - after / 2)

    def speech_at(self, seconds: float) -> tuple[float, float] | None:
        """The section with speech within which this time is, if any."""
        number = bisect_left(self._starts, seconds) - 1
        is_within = number >= 0 and seconds < self._ends[number]
        return (self._starts[number], self._ends[number]) if is_within else None
