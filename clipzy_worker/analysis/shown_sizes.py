"""For how long a video is displayed at each size: sizes change where a call's bandwidth does, or a phone is turned."""

from clipzy_worker.decode.geometry import Geometry

_MAX_SIZES = 256
# Of sizes that are displayed about equally long the largest counts.
_ABOUT_EQUAL_RATIO = 0.95
# To begin anew costs the time up to there, so the next time must be twice as late.
FIRST_RESTART_SECONDS = 1.0
_NEXT_RESTART_RATIO = 2


class MostlyAnotherSize(Exception):
    """The frames so far are mostly of another size than the one at which they are analysed.

    ``next_restart_seconds`` is from when on this may be said again; ``None`` if all frames are known.
    """

    def __init__(self, geometry: Geometry, *, next_restart_seconds: float | None) -> None:
        super().__init__(f"mostly {geometry.shown_size}")
        self.geometry, self.next_restart_seconds = geometry, next_restart_seconds


class ShownSizes:
    """Counts the time of each size, and says when a pass should begin anew with another ``main`` one."""

    def __init__(self, main: Geometry, *, restart_seconds: float | None = FIRST_RESTART_SECONDS) -> None:
        self.main = main
        self._restart_seconds = restart_seconds
        self._seconds: dict[tuple[int, int], float] = {}
        self._geometries: dict[tuple[int, int], Geometry] = {}

    @property
    def all(self) -> list[tuple[int, int]]:
        """Width and height of each, in the order of their first frames."""
        return list(self._seconds)

    def add(self, geometry: Geometry, seconds: float, until_seconds: float) -> None:
        """Raises ``MostlyAnotherSize`` if the frames so far are, and beginning anew costs little."""
        size = geometry.shown_size
        if size not in self._seconds and len(self._seconds) >= _MAX_SIZES:
            return
        self._geometries.setdefault(size, geometry)
        self._seconds[size] = self._seconds.get(size, 0.0) + until_seconds - seconds
        if size != self.main.shown_size and self._restart_seconds and until_seconds >= self._restart_seconds:
            self._check(next_restart_seconds=until_seconds * _NEXT_RESTART_RATIO)

    def check_whole(self) -> None:
        """To be called after the last frame. Raises ``MostlyAnotherSize``."""
        if self._restart_seconds:
            self._check(next_restart_seconds=None)

    def _check(self, *, next_restart_seconds: float | None) -> None:
        enough_seconds = max(self._seconds.values()) * _ABOUT_EQUAL_RATIO
        longest = [size for size, seconds in self._seconds.items() if seconds >= enough_seconds]
        size = max(longest, key=lambda size: (size[0] * size[1], size == self.main.shown_size))
        if size != self.main.shown_size:
            raise MostlyAnotherSize(self._geometries[size], next_restart_seconds=next_restart_seconds)
