"""What there is after everything has healed and drained, as the checker is given it."""

from dataclasses import dataclass, field
from typing import Any

from tests.chaos.results import PublishedResult


@dataclass(frozen=True)
class Aftermath:
    """``jobs`` as the front end shows them, their published ``results``, and the states of durable records.

    ``orphans`` is what no process will delete, by kind.
    """

    jobs: dict[str, dict[str, Any]]
    results: dict[str, PublishedResult]
    done: dict[str, str]
    orphans: dict[str, list[str]] = field(default_factory=dict)
