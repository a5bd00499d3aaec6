"""The web page at `/`, a client of the API like any other: its files, and what they may load."""

from urllib.parse import urlsplit

from flask import Blueprint, Response
from werkzeug.exceptions import NotFound

from clipzy_api.services import services
from clipzy_api.views.static_files import CONTENT_TYPES, STATIC, static_file
from clipzy_storage import keys
from clipzy_storage.errors import StorageError

DOCUMENT = "index.html"
DIRECTORIES = {"": "page", "vendor/": "vendor"}
"""Where the files are, by the beginning of their address below `/page/`."""

page = Blueprint("page", __name__)


def _assets() -> dict[str, str]:
    """The path of each file by its address below `/page/`."""
    return {
        prefix + file.name: f"static/{directory}/{file.name}"
        for prefix, directory in DIRECTORIES.items()
        for file in STATIC.joinpath(directory).iterdir()
        if file.name != DOCUMENT and file.name[file.name.rfind(".") :] in CONTENT_TYPES
    }


ASSETS = _assets() | {"demo.mp4": "cli/demo.mp4"}
ASIDE = frozenset({"theme.js", "vendor/tus.min.js", "vendor/uPlot.iife.min.js"})
"""Scripts that are no modules."""


@page.get("/")
def show_page() -> Response:
    return static_file(f"static/page/{DOCUMENT}", policy=_policy(), changed=_document)


def _document(text: bytes) -> bytes:
    """The document, which tells its scripts whether keys are asked for and names them, so that all load at once."""
    scripts = sorted(name for name in ASSETS if name.endswith(".js") and name not in ASIDE)
    preloads = "".join(f'  <link rel="modulepreload" href="page/{name}">\n' for name in scripts)
    asks = b'data-auth="keys"' if services().settings.auth == "keys" else b'data-auth="none"'
    return text.replace(b'data-auth="none"', asks).replace(b"</head>", preloads.encode() + b"</head>")


@page.get("/page/<path:asset>")
def show_asset(asset: str) -> Response:
    if asset not in ASSETS:
        raise NotFound
    return static_file(ASSETS[asset], policy=_policy())


def _policy() -> str:
    """Everything is ours, but for media, pictures and data of results, which on S3 are in the bucket.

    Pictures may also be made in the page (blob:): where keys are asked for, it fetches them itself.
    """
    bucket = _bucket_origin()
    return (
        f"default-src 'self'; img-src 'self' blob:{bucket}; media-src 'self'{bucket}; connect-src 'self'{bucket};"
        " object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _bucket_origin() -> str:
    """Where signed links lead, after a space; empty on local storage, and while there are no credentials to sign."""
    try:
        link = urlsplit(services().storage.link(keys.STORAGE_ID).url)
    except StorageError:
        return ""
    return f" {link.scheme}://{link.netloc}" if link.netloc else ""
