"""What commands and media processes cost: CPU time of processes that ended, and wall-clock time."""

import resource
import statistics
import subprocess
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    cpu_seconds: float
    wall_seconds: float


class Measured:
    """The CPU time of the child processes that ended in the block, and the wall-clock time."""

    cost: Cost

    def __enter__(self) -> "Measured":
        self._cpu, self._wall = _children_cpu(), time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.cost = Cost(_children_cpu() - self._cpu, time.monotonic() - self._wall)


def cost_of_command(*command: str) -> Cost:
    with Measured() as measured:
        subprocess.run(command, check=True, capture_output=True)
    return measured.cost


def print_cost(name: str, costs: list[Cost]) -> None:
    print(f"  {name:28} CPU {cpu(costs):6.1f} s   wall {wall(costs):6.1f} s")


def cpu(costs: list[Cost]) -> float:
    return statistics.median(cost.cpu_seconds for cost in costs)


def wall(costs: list[Cost]) -> float:
    return statistics.median(cost.wall_seconds for cost in costs)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
