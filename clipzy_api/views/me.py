"""The caller: its API key and its owner."""

from flask import Blueprint, Response

from clipzy_api import schemas
from clipzy_api.openapi.operations import Answer, described
from clipzy_api.schemas import json_response
from clipzy_api.services import caller, owner, services

me = Blueprint("me", __name__)


@me.get("/me")
@described(
    "Who am I?",
    [Answer(200, "The key, its owner, and the owner's limits and usage.", schemas.Me)],
    problems=["QUEUE_UNAVAILABLE"],
)
def show_me() -> Response:
    """The API key and its owner, with its limits and what it has. Without keys the owner is `everyone`."""
    store = services().store
    usage = store.accounts.usage(owner())
    return json_response(schemas.Me.of(owner(), caller().key, limits=store.limits, usage=usage))
