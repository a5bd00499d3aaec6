"""Where nothing is to be heard."""

from typing import Any

import numpy as np

from clipzy_storage.models.job_config import SilenceOptions
from clipzy_worker.analysers.audio.chunk import HOPS_PER_SECOND, Chunk

_DECIMALS = 6


class Silences:
    """Hears every channel: a hop of 10 ms is silent where the root mean square of each of them is below the threshold
    (full scale is 0 dBFS, so that a full sine has -3.01). Time without sound is silent too: before the track begins, in
    its gaps, and from its end to that of the film.

    ``spans`` are there after ``finish``: what lies within the film and lasts for ``min_seconds``.
    """

    def __init__(self, options: SilenceOptions) -> None:
        self.spans: list[dict[str, Any]] = []
        self._threshold = 10 ** (options.threshold_dbfs / 10)
        self._min_hops = round(options.min_seconds * HOPS_PER_SECOND)
        self._found: list[tuple[int, int]] = []
        self._since: int | None = 0
        self._next_hop = 0

    def hear(self, chunk: Chunk) -> None:
        if self._since is None and chunk.first_hop > self._next_hop:
            self._since = self._next_hop
        silent = chunk.power.max(axis=0) < self._threshold
        turns = np.flatnonzero(np.diff(silent, prepend=self._since is not None))
        for hop in (chunk.first_hop + turns).tolist():
            self._turn(hop)
        self._next_hop = chunk.end_hop

    def finish(self, end_seconds: float) -> None:
        end_hop = max(round(end_seconds * HOPS_PER_SECOND), self._next_hop)
        if self._since is None and self._next_hop < end_hop:
            self._since = self._next_hop
        if self._since is not None:
            self._turn(end_hop)
        last_hop = end_seconds * HOPS_PER_SECOND
        for begin, end in self._found:
            if min(end, last_hop) - begin > self._min_hops - 0.5:
                end_of_span = min(end / HOPS_PER_SECOND, end_seconds) if end < end_hop else end_seconds
                self.spans.append(
                    {"start_seconds": begin / HOPS_PER_SECOND, "end_seconds": round(end_of_span, _DECIMALS)}
                )

    def _turn(self, hop: int) -> None:
        """Silence begins or ends here; what ends before the film begins does not count."""
        if self._since is None:
            self._since = max(hop, 0)
        else:
            if hop - self._since >= self._min_hops:
                self._found.append((self._since, hop))
            self._since = None
