"""The description itself, and a page to read and try it that needs nothing from elsewhere."""

from importlib.resources import files

from flask import Blueprint, Response, current_app, jsonify, request
from werkzeug.exceptions import NotFound

from clipzy_api.openapi.document import describe
from clipzy_api.openapi.operations import ETAG, IF_NONE_MATCH, JSON, NOT_MODIFIED, Answer, Call, Header, described
from clipzy_api.services import services

STATIC = files("clipzy_api") / "static"
PAGE = "index.html"
ASSETS = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "swagger-ui/swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui/swagger-ui-bundle.js.LICENSE.txt": "text/plain; charset=utf-8",
}
# Pictures may also be what a tried call has answered (blob:) and what the viewer's style sheet holds (data:).
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_POLICY = Header("Content-Security-Policy", "Nothing runs but what this server sends, and nothing is sent elsewhere.")

description = Blueprint("description", __name__)


@description.get("/openapi.json")
@described(
    Call(
        summary="This description",
        answers=[Answer(200, "An OpenAPI 3.1 document.", {JSON: {"type": "object"}}, (ETAG,)), NOT_MODIFIED],
        headers=[IF_NONE_MATCH],
    )
)
def show_description() -> Response:
    """Made from the code that answers."""
    public_url = services().settings.public_url
    return _unless_known(jsonify(describe(current_app, servers=[public_url, "/"] if public_url else ["/"])))


@description.get("/docs")
@described(
    Call(
        summary="A page to read and try it",
        answers=[Answer(200, "The page.", {"text/html": {"type": "string"}}, (ETAG, _POLICY)), NOT_MODIFIED],
        headers=[IF_NONE_MATCH],
    )
)
def show_page() -> Response:
    """Works without the internet."""
    return _file(PAGE, "text/html; charset=utf-8")


@description.get("/docs/<path:asset>")
@described(
    Call(
        summary="A file of that page",
        answers=[Answer(200, "The file.", {"text/*": {"type": "string"}}, (ETAG,)), NOT_MODIFIED],
        problems=["NOT_FOUND"],
        headers=[IF_NONE_MATCH],
    )
)
def show_asset(asset: str) -> Response:
    """A script or a style sheet."""
    if asset not in ASSETS:
        raise NotFound
    return _file(asset, ASSETS[asset])


def _file(name: str, content_type: str) -> Response:
    answer = Response(STATIC.joinpath(name).read_bytes(), content_type=content_type)
    answer.headers["Content-Security-Policy"] = PAGE_POLICY
    return _unless_known(answer)


def _unless_known(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-cache"
    answer.add_etag()
    answer.make_conditional(request.environ)
    return answer
