"""``python -m tests.chaos --seconds 600 --seed 7 --storage local``: fault injection.

Exits with status 1 if it does not. What the run left is kept then, its history above all.
"""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import Plan, run
from tests.chaos.table import table


def main() -> int:
    given = _arguments()
    seed = given.seed if given.seed is not None else random.randrange(1_000_000)
    _say(f"seed {seed}")
    storages = ["local", "s3"] if given.storage == "both" else [given.storage]
    outcomes = [_held(Plan(one, given.seconds, seed, given.pause, given.lose_redis)) for one in storages]
    return 0 if all(outcomes) else 1


def _held(plan: Plan) -> bool:
    directory = Path(tempfile.mkdtemp(prefix=f"clipzy-chaos-{plan.storage}-"))
    outcome = run(plan, directory, clips_directory=directory / "clips")
    _say(table(outcome))
    if outcome.verdict.holds:
        for path in directory.iterdir():
            if path != outcome.history:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return outcome.verdict.holds


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long faults are done")
    parser.add_argument("--seed", type=int, help="deals the faults; default: a random one, which is printed")
    parser.add_argument("--storage", choices=["local", "s3", "both"], default="both")
    parser.add_argument("--pause", type=float, default=2, help="seconds between two faults, on the average")
    parser.add_argument("--lose-redis", action=argparse.BooleanOptionalAction, default=True, help="empty it, too")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
