"""The request headers of tus 1.0, the protocol of resumable uploads. All functions may raise ``ApiError``."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from flask import request

from clipzy_api.inputs.received_file import clean_filename
from clipzy_api.problems import ApiError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,checksum,termination"
ALGORITHMS = {"sha256": 32, "sha1": 20}
"""Those of checksums, with the bytes of their digests. Every server of tus has sha1, and tuspy has no other."""
CHUNK = "application/offset+octet-stream"
"""The media type of a piece of a file."""
MAX_METADATA_LENGTH = 4096

_NUMBER = re.compile("[0-9]{1,18}")
_KEY = re.compile(r"[!-+\--~]+")  # visible ASCII but for the comma


class Checksum(NamedTuple):
    """What a piece of a file is compared with."""

    algorithm: str
    hexdigest: str

    def new_digest(self) -> "hashlib._Hash":
        return hashlib.new(self.algorithm, usedforsecurity=False)


class MethodOverride:
    """WSGI middleware: lets clients that can only send ``POST`` name their method in ``X-HTTP-Method-Override``.

    For uploads alone, of which tus demands it. What is allowed is decided by the method that they name.
    """

    def __init__(self, app: "WSGIApplication", *, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        named = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", "").upper()
        is_post = environ["REQUEST_METHOD"] == "POST" and environ.get("PATH_INFO", "").startswith(self._prefix)
        if is_post and named in ("PATCH", "DELETE"):
            environ["REQUEST_METHOD"] = named
        return self._app(environ, start_response)


def require_version() -> None:
    """Refuse a request of another version, or of none."""
    sent = request.headers.get("Tus-Resumable")
    if sent != VERSION:
        detail = f"This address speaks tus {VERSION}; the header `Tus-Resumable: {VERSION}` should say so."
        raise ApiError("TUS_VERSION_MISMATCH", detail=detail, headers={"Tus-Version": VERSION})


def sent_length() -> int:
    """``Upload-Length``: the size of the whole file."""
    for header in ("Upload-Defer-Length", "Upload-Concat"):
        if header in request.headers:
            raise _bad_header(header, expects="left out: this server does not offer it")
    return _number("Upload-Length", expects="the size of the file in bytes")


def sent_offset() -> int:
    """``Upload-Offset``: after how many bytes this piece of the file begins."""
    return _number("Upload-Offset", expects="how many bytes of the file were sent before")


def sent_metadata() -> str:
    """``Upload-Metadata`` as it was sent, well-formed; empty without the header."""
    text = request.headers.get("Upload-Metadata", "")
    if len(text) > MAX_METADATA_LENGTH:
        raise _bad_header("Upload-Metadata", expects=f"at most {MAX_METADATA_LENGTH} characters long")
    metadata_in(text)
    return text


def filename_in(metadata: str) -> str:
    """The name of the file, of which only ``filename`` and then ``name`` count; all other metadata is the client's."""
    values = metadata_in(metadata)
    return clean_filename(values.get("filename") or values.get("name") or "")


def metadata_in(text: str) -> dict[str, str]:
    """The values by their keys."""
    values = {}
    for pair in text.split(",") if text.strip() else []:
        key, _, value = pair.strip().partition(" ")
        try:
            values[key] = base64.b64decode(value.strip(), validate=True).decode(errors="replace")
        except binascii.Error:
            key = ""
        if not _KEY.fullmatch(key):
            raise _bad_header("Upload-Metadata", expects="keys, each with a value in base64, separated by commas")
    return values


def sent_checksum() -> Checksum | None:
    """``Upload-Checksum``; None without the header."""
    text = request.headers.get("Upload-Checksum")
    if text is None:
        return None
    algorithm, _, value = text.partition(" ")
    try:
        digest = base64.b64decode(value.strip(), validate=True)
    except binascii.Error:
        digest = b""
    if ALGORITHMS.get(algorithm) != len(digest):
        known = " or ".join(f"`{name} …`" for name in ALGORITHMS)
        raise _bad_header("Upload-Checksum", expects=f"{known} with the digest of the body in base64")
    return Checksum(algorithm, digest.hex())


def _number(header: str, *, expects: str) -> int:
    text = request.headers.get(header, "")
    if not _NUMBER.fullmatch(text):
        raise _bad_header(header, expects=expects)
    return int(text)


def _bad_header(name: str, *, expects: str) -> ApiError:
    """With the status that tus demands."""
    detail = f"The header `{name}` is missing or wrong; it should be {expects}."
    return ApiError("BAD_REQUEST", detail=detail, members={"field": name})
