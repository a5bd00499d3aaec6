"""The OpenAPI description, and a page to read and try it that loads nothing from other servers."""

from flask import Blueprint, Response, current_app
from werkzeug.exceptions import NotFound

from clipzy_api.openapi.document import describe
from clipzy_api.openapi.operations import IF_NONE_MATCH, JSON, NOT_MODIFIED, Answer, described
from clipzy_api.services import services
from clipzy_api.static_content import StaticContent
from clipzy_api.views.static_files import static_file
from clipzy_storage.models.output import json_schema

PAGE = "static/docs/index.html"
SCHEMA = "application/schema+json"
ASSETS = {
    "page.css": "static/docs/page.css",
    "page.js": "static/docs/page.js",
    **{
        f"swagger-ui/{name}": f"static/swagger-ui/{name}"
        for name in ("swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt")
    },
}
"""The path of each file by its address below `/docs/`."""
# Images may also be the answer to a call that was tried (blob:), or part of the viewer's style sheet (data:).
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

description = Blueprint("description", __name__)


@description.get("/openapi.json")
@described(
    "This description",
    [Answer(200, "An OpenAPI 3.1 document.", {JSON: {"type": "object"}}, ("ETag",)), NOT_MODIFIED],
    problems=["OVERLOADED"],
    headers=[IF_NONE_MATCH],
)
def show_description() -> Response:
    """Made from the code that answers, for client generators and for the page at `/docs`."""
    return services().static_contents.named("openapi.json", _description).answer()


def _description() -> StaticContent:
    settings = services().settings
    servers = [settings.public_url, "/"] if settings.public_url else ["/"]
    document = describe(current_app, servers=servers, asks_for_keys=settings.auth == "keys")
    return StaticContent.of(current_app.json.dumps(document).encode(), JSON)


@description.get("/docs/output.schema.json")
@described(
    "The schema of results",
    [Answer(200, "A JSON Schema of `output.json`.", {SCHEMA: {"type": "object"}}, ("ETag",)), NOT_MODIFIED],
    problems=["OVERLOADED"],
    headers=[IF_NONE_MATCH],
)
def show_output_schema() -> Response:
    """It holds for `GET /api/v1/jobs/{job_id}/result` as well, and allows fields that later versions may add."""
    return services().static_contents.named("output.schema.json", _output_schema).answer()


def _output_schema() -> StaticContent:
    return StaticContent.of(current_app.json.dumps(json_schema()).encode(), SCHEMA)


@description.get("/docs")
def show_page() -> Response:
    return static_file(PAGE, policy=PAGE_POLICY)


@description.get("/docs/<path:asset>")
def show_asset(asset: str) -> Response:
    if asset not in ASSETS:
        raise NotFound
    return static_file(ASSETS[asset], policy=PAGE_POLICY)
