"""Files of this package that browsers load: the web page, and the page at `/docs`."""

from collections.abc import Callable
from importlib.resources import files

from flask import Response

from clipzy_api.services import services
from clipzy_api.static_content import StaticContent

PACKAGE = files("clipzy_api")
STATIC = PACKAGE / "static"
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".mp4": "video/mp4",
}


def static_file(path: str, *, policy: str, changed: Callable[[bytes], bytes] = bytes) -> Response:
    """The file at this path in our package, as it is ``changed``, under this ``Content-Security-Policy``."""

    def read() -> StaticContent:
        suffix = path[path.rindex(".") :]
        return StaticContent.of(changed(PACKAGE.joinpath(path).read_bytes()), CONTENT_TYPES[suffix])

    answer = services().static_contents.named(path, read).answer()
    answer.headers["Content-Security-Policy"] = policy
    return answer
