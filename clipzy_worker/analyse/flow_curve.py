"""How much moves over time, for a picture of it."""

from array import array

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
