"""What there is after everything has healed and drained, as the checker is given it."""

from dataclasses import dataclass, field
from typing import Any

from tests.chaos.results import Look


@dataclass(frozen=True)
class Aftermath:
    """What there is in the end: ``jobs`` as the front end shows them, ``looks`` at results, states of durable records.

    ``orphans`` is what nobody will clear, by kind.
    """

    jobs: dict[str, dict[str, Any]]
    looks: dict[str, Look]
    done: dict[str, str]
    orphans: dict[str, list[str]] = field(default_factory=dict)
