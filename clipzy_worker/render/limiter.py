"""Gain, and a limiter for what would exceed a true peak then."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.filter.graph import Graph

from clipzy_worker.analysers.base import Samples
from clipzy_worker.render.stereo import RATE_HZ

_OVERSAMPLED_HZ = 4 * RATE_HZ
# By its defaults the limiter would lift all to full scale, and delay it.
_LIMITER = "level=false:latency=true:attack=5:release=50:limit={limit!r}"


@dataclass(frozen=True)
class Level:
    """What is done to the audio: a gain; a limiter, if there is a ceiling; and what that exceeded it by is taken off.

    Back at 48 kHz the true peak may be up to 0.5 dB higher, where much is limited.
    """

    gain_db: float = 0.0
    ceiling_dbtp: float | None = None
    excess_db: float = 0.0


def levelled(blocks: Iterable[Samples], level: Level) -> Iterator[Samples]:
    """The blocks (2, n) at this level; as many samples, each where it was."""
    amplified = _amplified(blocks, level.gain_db)
    if level.ceiling_dbtp is None:
        return amplified
    return _amplified(_limited(amplified, level.ceiling_dbtp), -level.excess_db)


def _amplified(blocks: Iterable[Samples], gain_db: float) -> Iterator[Samples]:
    factor = np.float32(10 ** (gain_db / 20))
    return (block * factor for block in blocks) if gain_db else iter(blocks)


def _limited(blocks: Iterable[Samples], ceiling_dbtp: float) -> Iterator[Samples]:
    limiter, missing = _Limiter(ceiling_dbtp), 0
    for block in blocks:
        missing += block.shape[1]
        for part in limiter.push(block):
            missing -= part.shape[1]
            yield part
    for part in limiter.flush():
        yield part[:, :missing]
        missing -= min(part.shape[1], missing)


class _Limiter:
    def __init__(self, ceiling_dbtp: float) -> None:
        self._taken_samples = 0
        self._graph = Graph()
        source = self._graph.add_abuffer(
            format="fltp", sample_rate=RATE_HZ, layout="stereo", time_base=Fraction(1, RATE_HZ)
        )
        limit = 10 ** (ceiling_dbtp / 20)
        filters = [
            self._graph.add("aresample", str(_OVERSAMPLED_HZ)),
            self._graph.add("alimiter", _LIMITER.format(limit=limit)),
            self._graph.add("aresample", str(RATE_HZ)),
            self._graph.add("aformat", "sample_fmts=fltp"),
        ]
        self._graph.link_nodes(source, *filters, self._graph.add("abuffersink")).configure()

    def push(self, block: Samples) -> Iterator[Samples]:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, self._taken_samples, Fraction(1, RATE_HZ)
        self._taken_samples += frame.samples
        self._graph.push(frame)
        return self._pulled()

    def flush(self) -> Iterator[Samples]:
        self._graph.push(None)
        return self._pulled()

    def _pulled(self) -> Iterator[Samples]:
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            if isinstance(frame, AudioFrame):
                yield np.asarray(frame.to_ndarray(), np.float32)
