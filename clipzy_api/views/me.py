"""The caller: its API key and its owner."""

from flask import Blueprint, Response

from clipzy_api import schemas
from clipzy_api.openapi.operations import Answer, described
from clipzy_api.schemas import json_response
from clipzy_api.services import caller, owner

me = Blueprint("me", __name__)


@me.get("/me")
@described(
    "Who am I?",
    [Answer(200, "The key and its owner.", schemas.Me)],
)
def show_me() -> Response:
    """The API key and its owner. Without keys the owner is `everyone`."""
    return json_response(schemas.Me.of(owner(), caller().key))
