"""The caller: its API key, its owner, and what the owner may have and has."""

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
    """What the API key allows, and how much of its limits its owner uses. Without keys the owner is `everyone`."""
    settings = services().settings
    usage = services().admin.usage(owner())
    return json_response(schemas.Me.of(caller(), owner(), settings=settings, usage=usage))
