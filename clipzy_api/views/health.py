"""Whether this front end lives, and whether it can take work."""

import logging
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify

from clipzy_api import schemas as models
from clipzy_api.openapi.operations import Answer, Call, described
from clipzy_api.problems import ApiError
from clipzy_api.services import services
from clipzy_storage.errors import QueueUnavailable, StorageError
from clipzy_storage.guard.members import live_members
from clipzy_storage.guard.refusals import Refused

log = logging.getLogger(__name__)
health = Blueprint("health", __name__)


@health.get("/healthz")
@described(Call(summary="Is it alive?", answers=[Answer(200, "It is.", models.Alive)]))
def alive() -> Response:
    """200, whatever else is down."""
    return jsonify(status="ok")


@health.get("/readyz")
@described(
    Call(
        summary="Can it take work?",
        answers=[Answer(200, "It can.", models.Ready)],
        problems=["QUEUE_UNAVAILABLE", "STORAGE_UNAVAILABLE"],
        problem_models={503: models.NotReady},
    )
)
def ready() -> Response:
    """200 or, as a problem, 503; either way with each part by its name."""
    parts = {
        "redis": _check("redis", services().store.ping),
        "storage": _check("storage", services().membership.check_storage),
        "guard": _check("guard", lambda: services().membership.guard().admit()),
    }
    # Not asked of a Redis that has just kept us waiting in vain.
    live_workers = _live_workers() if parts["redis"] == "ok" else None
    members: dict[str, Any] = {**parts, "live_workers": live_workers}
    failed = [name for name, state in parts.items() if state != "ok"]
    if not failed:
        return jsonify(status="ok", **members)
    code = "QUEUE_UNAVAILABLE" if "redis" in failed or failed == ["guard"] else "STORAGE_UNAVAILABLE"
    detail = f"Not ready: {', '.join(failed)}."
    raise ApiError(code, detail=detail, members=members)


def _check(name: str, ask: Callable[[], object]) -> str:
    try:
        ask()
    except (QueueUnavailable, StorageError, Refused) as error:
        log.debug("not_ready.%s: %s", name, error)  # whoever asks is told; the keeper logs it once
        return "unavailable"
    return "ok"


def _live_workers() -> int | None:
    """How many workers beat, or ``None`` where nobody can tell. None of them is needed to take a job."""
    try:
        return sum(member.role == "worker" for member in live_members(services().redis).values())
    except QueueUnavailable:
        return None
