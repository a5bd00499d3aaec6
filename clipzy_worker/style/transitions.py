"""Which transitions a film uses most. Pure."""

from statistics import median
from typing import Any

_ORDER = ("cut", "dissolve", "fade")  # where two are as common


def ranked_transitions(shots: list[dict[str, Any]]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The commonest and the second commonest, each with the median of its durations; ``None`` where there is none."""
    durations: dict[str, list[float]] = {}
    for shot in shots:
        if shot["transition"] != "start":
            durations.setdefault(shot["transition"], []).append(shot["transition_seconds"])
    ranked = sorted(durations, key=lambda kind: (-len(durations[kind]), _ORDER.index(kind)))
    styles = [{"type": kind, "duration_ms": round(median(durations[kind]) * 1000)} for kind in ranked]
    first, second, *_ = [*styles, None, None]
    return first, second
