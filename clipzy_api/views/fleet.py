"""The workers of the deployment, and what waits for them."""

from flask import Blueprint, Response

from clipzy_api.fleet_schemas import Fleet
from clipzy_api.openapi.operations import Answer, described
from clipzy_api.schemas import json_response
from clipzy_api.services import caller, services
from clipzy_storage.fleet.fleet import read_fleet
from clipzy_storage.models.access import Scope

fleet = Blueprint("fleet", __name__)


@fleet.get("/fleet")
@described(
    "What do the workers do?",
    [Answer(200, "The workers, what each runs, and what waits.", Fleet)],
    problems=["QUEUE_UNAVAILABLE"],
)
def show_fleet() -> Response:
    """The live workers and the queues, those jobs of other owners included; their ids need the scope `admin`."""
    key, owner = caller().key, caller().owner
    sees_all = key is not None and Scope.ADMIN in key.scopes
    return json_response(Fleet.of(read_fleet(services().redis), owner=None if sees_all else owner))
