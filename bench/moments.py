"""The score of moments beside that of people: rank correlation with the annotators of TVSum, for who has the set.

``python -m bench.moments --tvsum DIR``, where ``DIR`` has ``ydata-tvsum50-anno.tsv`` and the videos as ``*.mp4`` in a
folder below; both are in the archive of Song et al., "TVSum: Summarizing web videos using titles", CVPR 2015. Without
it nothing is measured, since no copy comes with Clipzy and none is downloaded.
"""

import argparse
import csv
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clipzy_worker.analysers.moments.cells import Numbers
from tests.support.media.measured_films import measured_film

ANNOTATIONS = "ydata-tvsum50-anno.tsv"
SHOT_SECONDS = 2.0
"""Of what the annotators were shown and gave one figure each."""

_AROUND_SECONDS = 5.0


def measure(directory: Path | None) -> bool:
    """Print Kendall's tau and Spearman's rho against each annotator, meaned over the videos; no aim is set."""
    if directory is None:
        print("\nMoments beside people: skipped; `python -m bench.moments --tvsum DIR` measures them.")
        return True
    annotations = _annotations(directory / ANNOTATIONS)
    rows = [row for name in sorted(annotations) if (row := _of_video(directory, name, annotations[name]))]
    if not rows:
        print(f"\nMoments beside people: no video of {ANNOTATIONS} is in {directory}.")
        return False
    ours, people = (np.mean([row[side] for row in rows], axis=0) for side in (0, 1))
    print(f"\nMoments beside people, TVSum, {len(rows)} videos, mean over annotators:")
    print(f"  the score with each annotator               tau {ours[0]:.3f}   rho {ours[1]:.3f}")
    print(f"  each annotator with the others              tau {people[0]:.3f}   rho {people[1]:.3f}")
    return True


def _annotations(path: Path) -> dict[str, Numbers]:
    """By video a row of figures for each annotator, one for each frame or each stretch of ``SHOT_SECONDS``."""
    rows: dict[str, list[list[float]]] = defaultdict(list)
    with path.open(newline="") as file:
        for name, _category, figures in csv.reader(file, delimiter="\t"):
            rows[name].append([float(figure) for figure in figures.split(",")])
    return {name: np.array(figures, np.float64) for name, figures in rows.items()}


def _of_video(
    directory: Path, name: str, annotators: Numbers
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    found = sorted(directory.rglob(f"{name}.mp4"))
    if not found:
        return None
    with tempfile.TemporaryDirectory(prefix="clipzy-bench-") as out:
        film = measured_film(found[0], Path(out))
    end = film.frames.end_seconds
    middles = np.arange(SHOT_SECONDS / 2, end, SHOT_SECONDS)
    spans = [(max(at - _AROUND_SECONDS, 0.0), min(at + _AROUND_SECONDS, end)) for at in middles.tolist()]
    scores = np.array(film.scores(spans))
    at = np.clip(middles / end * annotators.shape[1], 0, annotators.shape[1] - 1).astype(int)
    figures = annotators[:, at]
    ours = [(kendall(scores, one), spearman(scores, one)) for one in figures]
    others = [(np.delete(figures, number, axis=0).mean(axis=0), one) for number, one in enumerate(figures)]
    people = [(kendall(rest, one), spearman(rest, one)) for rest, one in others]
    return _mean(ours), _mean(people)


def _mean(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    taus, rhos = zip(*pairs, strict=True)
    return float(np.mean(taus)), float(np.mean(rhos))


def kendall(one: Numbers, other: Numbers) -> float:
    """Tau-b, which allows for ties; 0 if one of them is constant."""
    first, second = (np.sign(values[:, None] - values[None]) for values in (one, other))
    size = float(np.sqrt(np.sum(first**2) * np.sum(second**2)))
    return float(np.sum(first * second)) / size if size else 0.0


def spearman(one: Numbers, other: Numbers) -> float:
    """Rho, with mean ranks of ties; 0 if one of them is constant."""
    first, second = (np.sign(values[:, None] - values[None]).sum(axis=1) for values in (one, other))
    size = float(np.sqrt(np.sum(first**2) * np.sum(second**2)))
    return float(np.sum(first * second)) / size if size else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tvsum", type=Path, metavar="DIR", help="the unpacked archive")
    return 0 if measure(parser.parse_args().tvsum) else 1


if __name__ == "__main__":
    sys.exit(main())
