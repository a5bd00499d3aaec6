"""Makes the weights of ``tempo.py`` in ``clipzy_worker/analysers/audio``, and weights for ``metre.py``.

Run by hand: ``python -m tests.accuracy.fit_metre``, which takes a quarter of an hour. It prints how often the tempo and
the phase of the beats are right in songs that were left out of a fit, then the weights that are fitted to all of them.
The songs of OpenTTD by which ``test_music.py`` judges the analysis are not among them.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from clipzy_worker.analysers.audio import metre, tempo
from clipzy_worker.analysers.audio.onsets import FRAMES_PER_SECOND, Onsets
from clipzy_worker.analysers.audio.tempo import Numbers
from tests.accuracy.logistic_regression import Choices, fitted
from tests.accuracy.test_music import FITTED
from tests.support.media.fitted_music import PERFORMANCES, performances, synthesised
from tests.support.media.music import Piece

# Those by which most songs that were left out came out right, of 0.003 to 0.1 for periods and 0.1 to 10 for phases.
_PERIOD_L2, _PHASE_L2 = 0.02, 2.0
_FOLDS = 5
# Nearly all songs of the games have four beats a bar.
_WALTZ_WEIGHT = 8.0
# Periods are 1 % apart.
_SAME_PERIOD_TOLERANCE = 0.013
_PHASES = 12
# Windows, or beats, that overlap so much are as good as one.
_WINDOWS_STEP, _BEATS_STEP = 2, 4


@dataclass(frozen=True)
class Heard:
    """What there is to choose from in a piece of music. Those of the same name are left out together."""

    name: str
    periods: Choices
    phases: Choices


Chosen = Callable[[Heard], Choices]


def main() -> None:
    made = [_heard(name, piece, _WALTZ_WEIGHT if "waltz" in name else 1.0) for name, piece in synthesised()]
    with TemporaryDirectory() as directory:
        played = performances(list(FITTED), Path(directory))
        songs = [_heard(name, piece, 1 / len(PERFORMANCES)) for name, piece in played]
    _fit("tempo.py", songs, made, lambda heard: heard.periods, l2=_PERIOD_L2, in_line=len(tempo.SHARES))
    _fit("metre.py", songs, made, lambda heard: heard.phases, l2=_PHASE_L2, in_line=len(metre.SHARES))


def _fit(what: str, songs: list[Heard], made: list[Heard], choices: Chosen, *, l2: float, in_line: int) -> None:
    right = _right_where_left_out(songs, made, choices, l2)
    sys.stdout.write(f"# {what}: right in {right} of {len(songs)} performances of songs that were left out\n")
    weights = [round(float(weight), 2) for weight in fitted([choices(heard) for heard in [*songs, *made]], l2=l2)]
    for start in range(0, len(weights), in_line):
        sys.stdout.write(f"    *{tuple(weights[start : start + in_line])},\n")


def _right_where_left_out(songs: list[Heard], made: list[Heard], choices: Chosen, l2: float) -> int:
    names = sorted({heard.name for heard in songs})
    right = 0
    for fold in range(_FOLDS):
        left_out = set(names[fold::_FOLDS])
        weights = fitted([choices(heard) for heard in [*songs, *made] if heard.name not in left_out], l2=l2)
        right += sum(choices(heard).is_chosen(weights) for heard in songs if heard.name in left_out)
    return right


def _heard(name: str, piece: Piece, weight: float) -> Heard:
    onsets = Onsets(0.0)
    onsets.add(piece.samples)
    flux = tempo.flux(onsets.take().strength)[: round(piece.beats[-1] * FRAMES_PER_SECOND)]
    return Heard(name, _periods_of(flux, piece.beats, weight), _phases_of(flux, piece.beats, weight))


def _periods_of(flux: Numbers, beats: Numbers, weight: float) -> Choices:
    """In each window, of all periods those that are the distance of its beats."""
    correlations = (correlation[::_WINDOWS_STEP] for correlation in tempo.autocorrelations(flux))
    features = np.stack(list(tempo.features(*correlations)), axis=-1).astype(np.float32)
    middles = tempo.window_middles(len(features) * _WINDOWS_STEP)[::_WINDOWS_STEP]
    period = np.interp(middles, beats[:-1] * FRAMES_PER_SECOND, np.diff(beats) * FRAMES_PER_SECOND)
    right = np.abs(tempo.PERIODS / period[:, None] - 1) < _SAME_PERIOD_TOLERANCE
    return Choices(features, right.astype(np.float32), weight)


def _phases_of(flux: Numbers, beats: Numbers, weight: float) -> Choices:
    """From each beat to the next, of twelve moments the first."""
    frames = np.arange(len(flux), dtype=np.float64)
    at = np.interp(frames / FRAMES_PER_SECOND, beats[:-1], np.diff(beats) * FRAMES_PER_SECOND)
    moments = np.arange(0, len(beats) - 1, _BEATS_STEP)[:, None] + np.arange(_PHASES) / _PHASES
    moments = np.interp(moments, np.arange(len(beats)), beats * FRAMES_PER_SECOND)
    features = [np.interp(moments, frames, feature) for feature in metre.features(flux, at)]
    right = np.zeros(moments.shape, dtype=np.float32)
    right[:, 0] = 1
    return Choices(np.stack(features, axis=-1).astype(np.float32), right, weight)


if __name__ == "__main__":
    main()
