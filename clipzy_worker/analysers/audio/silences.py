"""Silence detection."""

import numpy as np

from clipzy_storage.models.job_config import SilenceOptions
from clipzy_storage.models.measurements import Span
from clipzy_worker.analysers.audio.chunk import HOPS_PER_SECOND, Chunk

_DECIMALS = 6


class Silences:
    """A ``MultichannelAnalyser``: a hop of 10 ms is silent if the root mean square of every channel is below the
    threshold (a full-scale sine has -3.01 dBFS). Time without audio is silent too: before the track begins, in its
    gaps, and from its end to that of the video.

    ``spans``, after ``finish``, are the silences within the video that last for ``min_seconds``.
    """

    def __init__(self, options: SilenceOptions) -> None:
        self.spans: list[Span] = []
        self._threshold = 10 ** (options.threshold_dbfs / 10)
        self._min_hops = round(options.min_seconds * HOPS_PER_SECOND)
        self._found: list[tuple[int, int]] = []
        self._silent_since: int | None = 0
        self._next_hop = 0

    def process(self, chunk: Chunk) -> None:
        if self._silent_since is None and chunk.first_hop > self._next_hop:
            self._silent_since = max(self._next_hop, 0)
        silent = chunk.power.max(axis=0) < self._threshold
        toggles = np.flatnonzero(np.diff(silent, prepend=self._silent_since is not None))
        for hop in (chunk.first_hop + toggles).tolist():
            self._toggle(hop)
        self._next_hop = chunk.end_hop

    def finish(self, end_seconds: float) -> None:
        end_hop = max(round(end_seconds * HOPS_PER_SECOND), self._next_hop)
        if self._silent_since is None and self._next_hop < end_hop:
            self._silent_since = max(self._next_hop, 0)
        if self._silent_since is not None:
            self._toggle(end_hop)
        last_hop = end_seconds * HOPS_PER_SECOND
        for begin, end in self._found:
            if min(end, last_hop) - begin > self._min_hops - 0.5:
                end_of_span = min(end / HOPS_PER_SECOND, end_seconds) if end < end_hop else end_seconds
                self.spans.append(
                    Span(start_seconds=begin / HOPS_PER_SECOND, end_seconds=round(end_of_span, _DECIMALS))
                )

    def _toggle(self, hop: int) -> None:
        """Silence begins or ends here; one that ends before the video begins does not count."""
        if self._silent_since is None:
            self._silent_since = max(hop, 0)
        else:
            if hop - self._silent_since >= self._min_hops:
                self._found.append((self._silent_since, hop))
            self._silent_since = None
