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
from clipzy_storage.errors import CredentialsRefused, QueueRefused, QueueUnavailable, StorageError
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
    failed = _failures()
    # No second call to a Redis that has just timed out.
    live_workers = None if "redis" in failed else _live_workers()
    parts = {name: "unavailable" if name in failed else "ok" for name in ("redis", "storage", "guard")}
    members: dict[str, Any] = {**parts, "live_workers": live_workers}
    if not failed:
        return json_response(schemas.Ready(status="ok", **members))
    code = "QUEUE_UNAVAILABLE" if "redis" in failed or [*failed] == ["guard"] else "STORAGE_UNAVAILABLE"
    detail = f"Not ready: {', '.join(name + reason for name, reason in failed.items())}."
    raise ApiError(code, detail=detail, members=members)


def _failures() -> dict[str, str]:
    """What is not ready; each with its reason in brackets if only an operator can help."""
    checks = {
        "redis": services().redis_readiness.check,
        "storage": services().membership.check_storage,
        "guard": lambda: services().membership.guard().admit(),
    }
    reasons = {name: _reason(name, check) for name, check in checks.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _reason(name: str, check: Callable[[], object]) -> str | None:
    """None if the check succeeds."""
    try:
        check()
    except QueueRefused as error:
        log.warning("web.not_ready", part=name, reason=str(error))
        return " (it refuses this front end; the log says why)"  # the reason names a user
    except CredentialsRefused as error:
        log.warning("web.not_ready", part=name, reason=str(error))
        return f" (it refuses the credentials: {error.finding})"
    except (QueueUnavailable, StorageError, Refused) as error:
        log.debug("web.not_ready", part=name, reason=str(error))  # the answer has it; the heartbeat logs it once
        return ""
    return None


def _live_workers() -> int | None:
    """The number of workers with a current heartbeat; None if unknown."""
    try:
        return count_live_workers(services().redis)
    except QueueUnavailable:
        return None
