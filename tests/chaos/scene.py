"""What a fault chooses its victims from."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.chaos.deployment import Deployment
from tests.chaos.nodes import Node
from tests.support.processes import media_processes_below


@dataclass(frozen=True)
class Harm:
    """One fault that was done: to whom, and how it is undone after ``seconds``, unless it passes by itself."""

    victims: tuple[str, ...]
    about: str
    seconds: float = 0.0
    revert: Callable[[], None] | None = None


@dataclass
class Scene:
    """The deployment, the random source, and the current victims: none suffers two faults of one kind at a time."""

    deployment: Deployment
    rng: random.Random
    suffering: set[str] = field(default_factory=set)

    def is_free(self, victim: str) -> bool:
        return victim not in self.suffering

    def one_of(self, nodes: Iterable[Node]) -> Node | None:
        """A process that runs undisturbed."""
        free = [node for node in nodes if self.is_free(node.name) and node.status() is None]
        return self.rng.choice(free) if free else None

    def links(self, to: str) -> list[Node]:
        """One node or all, to harm their connections ``to`` Redis or the store; none where that is suffered already."""
        nodes = self.deployment.nodes
        if not all(self.is_free(f"{node.name}/{to}") for node in nodes):
            return []
        return nodes if self.rng.random() < 0.4 else [self.rng.choice(nodes)]


def media_processes(node: Node) -> list[int]:
    return media_processes_below(node.pid) if node.status() is None else []
