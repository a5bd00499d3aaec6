"""The outcome of a run as people read it."""

from tests.chaos.checker import outcomes
from tests.chaos.run import Outcome

EXAMPLES = 8


def table(outcome: Outcome) -> str:
    """Faults by kind, outcomes of the jobs, and what broke the promise."""
    plan, verdict = outcome.plan, outcome.verdict
    broken = vars(verdict)
    lines = [
        f"chaos on {plan.storage}: {plan.seconds:g} s, seed {plan.seed}, {outcome.faults.total()} faults, drained in"
        f" {outcome.drained_in_seconds:.0f} s",
        *_rows(dict(sorted(outcome.faults.items()))),
        "jobs",
        *_rows({"accepted": outcome.accepted, **dict(sorted(outcomes(outcome.after).items()))}),
        "promise",
        *_rows({name: len(found) for name, found in broken.items()}),
    ]
    for name, found in broken.items():
        lines += [f"! {name}: {what}" for what in found[:EXAMPLES]]
        lines += [f"! {name}: and {len(found) - EXAMPLES} more"] * (len(found) > EXAMPLES)
    return "\n".join([*lines, f"history: {outcome.history}"])


def _rows(numbers: dict[str, int]) -> list[str]:
    return [f"  {name:<32}{number:>6}" for name, number in numbers.items()]
