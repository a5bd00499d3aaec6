"""Liveness and readiness of this front end."""

from collections.abc import Callable
from typing import Any

import structlog
from flask import Blueprint, Response

from clipzy_api import schemas
from clipzy_api.openapi.operations import Answer, described
from clipzy_api.problems import ApiError
from clipzy_api.schemas import json_response
from clipzy_api.services import services
from clipzy_storage.errors import QueueRefused, QueueUnavailable, StorageError
from clipzy_storage.guard.members import count_live_workers
from clipzy_storage.guard.refusals import Refused

log = structlog.stdlib.get_logger(__name__)
health = Blueprint("health", __name__)


@health.get("/healthz")
@described("Is it alive?", [Answer(200, "It is.", schemas.Alive)])
def alive() -> Response:
    """200 if the process answers, whatever else is down."""
    return json_response(schemas.Alive(status="ok"))


@health.get("/readyz")
@described(
    "Is it ready?",
    [Answer(200, "It is.", schemas.Ready)],
    problems=["QUEUE_UNAVAILABLE", "STORAGE_UNAVAILABLE"],
    problem_models={503: schemas.NotReady},
)
def ready() -> Response:
    """200, or 503 as a problem; both with the state of each part."""
    parts = {
        "redis": _check("redis", services().redis_readiness.check),
        "storage": _check("storage", services().membership.check_storage),
        "guard": _check("guard", lambda: services().membership.guard().admit()),
    }
    # No second call to a Redis that has just timed out.
    live_workers = _live_workers() if parts["redis"] == "ok" else None
    members: dict[str, Any] = {**parts, "live_workers": live_workers}
    failed = [name for name, state in parts.items() if state != "ok"]
    if not failed:
        return json_response(schemas.Ready(status="ok", **members))
    code = "QUEUE_UNAVAILABLE" if "redis" in failed or failed == ["guard"] else "STORAGE_UNAVAILABLE"
    detail = f"Not ready: {', '.join(failed)}."
    raise ApiError(code, detail=detail, members=members)


def _check(name: str, call: Callable[[], object]) -> str:
    try:
        call()
    except QueueRefused as error:  # only an operator can help
        log.warning("web.not_ready", part=name, reason=str(error))
        return "unavailable"
    except (QueueUnavailable, StorageError, Refused) as error:
        log.debug("web.not_ready", part=name, reason=str(error))  # the answer has it; the heartbeat logs it once
        return "unavailable"
    return "ok"


def _live_workers() -> int | None:
    """The number of workers with a current heartbeat; None if unknown."""
    try:
        return count_live_workers(services().redis)
    except QueueUnavailable:
        return None
