"""How loud a section is, and the gain and the limiter by which it gets the loudness that was asked for."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from clipzy_storage.models.clips import RenderedLoudness
from clipzy_worker.analysers.audio.chunk import HOPS_PER_SECOND, Chunk
from clipzy_worker.analysers.audio.true_peak import TruePeak
from clipzy_worker.analysers.base import Samples
from clipzy_worker.decode.k_weighting import Loudness
from clipzy_worker.render.limiter import Level, levelled
from clipzy_worker.render.sound import SoundSection
from clipzy_worker.render.stereo import RATE_HZ

CEILING_DBTP = -1.0
MAX_LIMITED_DB = 6.0
TOLERANCE_LU = 0.5

_HOP_SAMPLES = RATE_HZ // HOPS_PER_SECOND
_CHANNELS = ("FL", "FR")
_DECIMALS = 2
_TOO_QUIET = "The audio has {:.1f} LUFS instead of {:g}: more would need over 6 dB of limiting."
# A gain lifts more over the absolute gate, by which the loudness is less than expected.
_GATE_ROUNDS = 4


@dataclass(frozen=True)
class LevelPlan:
    """The level of a section, and its loudness before and after."""

    level: Level
    loudness: RenderedLoudness
    warnings: list[str] = field(default_factory=list)


def planned(section: SoundSection, target_lufs: float | None) -> LevelPlan:
    """Measure a section, and how it gets this loudness; None keeps its level.

    A gain, and where peaks would exceed -1 dBTP by that, a limiter, which takes up to 6 dB; the section stays below
    this loudness then, which is a warning. Silence is left alone. Without a target only the peaks that a mix of more
    than two channels makes are limited.

    It is read once, and up to twice more if there is a limiter. Raises what the section raises.
    """
    before = _Measured(section)
    if target_lufs is None and section.is_mixed and before.peak_dbtp > 0:
        return _limited(section, before, gain_db=0.0)
    if target_lufs is None or before.lufs is None:
        return _amplified(before, gain_db=0.0)
    gain_db = before.gain_to(target_lufs)
    if before.peak_dbtp + gain_db <= CEILING_DBTP:
        return _amplified(before, gain_db=gain_db)
    return _limited_to(target_lufs, section, before, gain_db=gain_db)


class _Measured:
    """The loudness of some audio, None of silence and of less than 400 ms, and its true peak, of silence -infinity."""

    def __init__(self, blocks: Iterable[Samples]) -> None:
        loudness, true_peak = Loudness(), TruePeak()
        for chunk in _chunks(blocks):
            loudness.process(chunk)
            true_peak.process(chunk)
        true_peak.finish(0.0)
        self._meter = loudness.meter
        self.lufs = self._meter.integrated_lufs
        self.peak_dbtp = -math.inf if true_peak.dbtp is None else true_peak.dbtp

    def with_gain(self, gain_db: float) -> float | None:
        return self._meter.integrated_with(gain_db)

    def gain_to(self, target_lufs: float) -> float:
        gain_db = 0.0
        for _ in range(_GATE_ROUNDS):
            gain_db += target_lufs - (self.with_gain(gain_db) or target_lufs)
        return gain_db


def _amplified(before: _Measured, *, gain_db: float) -> LevelPlan:
    return LevelPlan(Level(gain_db), _loudness(before.lufs, gain_db, 0.0, before.with_gain(gain_db)))


def _limited_to(target_lufs: float, section: SoundSection, before: _Measured, *, gain_db: float) -> LevelPlan:
    most_db = CEILING_DBTP + MAX_LIMITED_DB - before.peak_dbtp
    plan = _limited(section, before, gain_db=min(gain_db, most_db))
    missing_lu = _missing(plan, target_lufs)
    if missing_lu > TOLERANCE_LU and gain_db < most_db:
        plan = _limited(section, before, gain_db=min(gain_db + missing_lu, most_db))
        missing_lu = _missing(plan, target_lufs)
    if missing_lu <= TOLERANCE_LU:
        return plan
    return replace(plan, warnings=[_TOO_QUIET.format(target_lufs - missing_lu, target_lufs)])


def _limited(section: SoundSection, before: _Measured, *, gain_db: float) -> LevelPlan:
    level = Level(gain_db, CEILING_DBTP)
    found = _Measured(levelled(section, level))
    excess_db = max(found.peak_dbtp - CEILING_DBTP, 0.0)
    limited_db = max(before.peak_dbtp + gain_db - found.peak_dbtp, 0.0) + excess_db
    loudness = _loudness(before.lufs, gain_db, limited_db, found.with_gain(-excess_db))
    return LevelPlan(replace(level, excess_db=excess_db), loudness)


def _missing(plan: LevelPlan, target_lufs: float) -> float:
    after_lufs = plan.loudness.after_lufs
    return 0.0 if after_lufs is None else target_lufs - after_lufs


def _loudness(
    before_lufs: float | None, gain_db: float, limited_db: float, after_lufs: float | None
) -> RenderedLoudness:
    return RenderedLoudness(
        before_lufs=_rounded(before_lufs),
        gain_db=round(gain_db, _DECIMALS),
        limited_db=round(limited_db, _DECIMALS),
        after_lufs=_rounded(after_lufs),
    )


def _rounded(lufs: float | None) -> float | None:
    return None if lufs is None else round(lufs, _DECIMALS)


def _chunks(blocks: Iterable[Samples]) -> Iterator[Chunk]:
    """Whole hops, counted from 0; the last one is padded with silence."""
    rest, hop = np.zeros((2, 0), np.float32), 0
    for block in blocks:
        rest = np.concatenate([rest, block], axis=1)
        hops = rest.shape[1] // _HOP_SAMPLES
        if hops:
            yield Chunk(hop, hops, RATE_HZ, _CHANNELS, rest[:, : hops * _HOP_SAMPLES])
            rest, hop = rest[:, hops * _HOP_SAMPLES :], hop + hops
    if rest.shape[1]:
        missing = np.zeros((2, _HOP_SAMPLES - rest.shape[1]), np.float32)
        yield Chunk(hop, 1, RATE_HZ, _CHANNELS, np.concatenate([rest, missing], axis=1))
