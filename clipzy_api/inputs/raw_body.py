"""Reads one uploaded file that is the whole body of its request."""

import base64
import binascii
import hmac
import re

from flask import request
from werkzeug.http import parse_options_header

from clipzy_api.inputs.received_file import ReceivedFile, clean_filename
from clipzy_api.inputs.request_body import RequestBody
from clipzy_api.problems import ApiError, invalid_field, missing_field, unknown_field
from clipzy_storage.backends.base import StorageWriter
from clipzy_storage.container_sniffing import Container

FILENAME = "filename"
DIGEST_HEADER = "Content-Digest"
_SHA256 = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]*):\s*(?:;[^,]*)?(?=,|$)")


class RawUpload:
    """One file, read from a request body block by block.

    Call ``read_head``, then ``copy_file``. Both raise ``ApiError`` if the upload is refused.
    """

    def __init__(self, body: RequestBody, *, cap_bytes: int) -> None:
        """Raises ``ApiError`` 411 or 422 for the headers and the query."""
        for name in request.args:
            if name != FILENAME:
                raise unknown_field(name, known=FILENAME)
        self.filename = clean_filename(_sent_filename())
        self._sha256 = sent_digest()
        if body.declared_bytes is None and self._sha256 is None:
            detail = "A file as the body needs a Content-Length, or a Content-Digest that tells when it is whole."
            raise ApiError("LENGTH_REQUIRED", detail=detail)
        self._body = body
        self._file = ReceivedFile(cap_bytes=cap_bytes)

    def read_head(self) -> Container:
        """Read until the first bytes of the file show its container."""
        while self._body.is_unread:
            self._read_block()
            if self._file.container is not None:
                return self._file.container
        raise missing_field("body", expects="the bytes of the video")

    def copy_file(self, writer: StorageWriter) -> None:
        """Read the body to its end and write the whole file.

        Raises ``ApiError`` 400 if it is cut, 422 if it has another digest than was sent, and what ``writer`` raises.
        """
        self._file.begin(writer)
        while self._body.is_unread:
            self._read_block()
        self._body.check_whole()
        if self._sha256 and not hmac.compare_digest(self._sha256, writer.sha256):
            raise digest_mismatch(sent=self._sha256, found=writer.sha256)

    def _read_block(self) -> None:
        block = self._body.read()
        if not self._body.is_unread:
            self._body.check_whole()
        self._file.take(block, is_last=not self._body.is_unread)


def digest_mismatch(*, sent: str, found: str) -> ApiError:
    detail = f"The bytes that arrived have the sha256 {found}, and {sent} was sent. Nothing was kept; send them again."
    return ApiError("DIGEST_MISMATCH", detail=detail)


def sent_digest() -> str | None:
    """The sha256 in the ``Content-Digest`` header as hex, None without the header. Raises ``ApiError`` 422."""
    text = request.headers.get(DIGEST_HEADER)
    if text is None:
        return None
    found = _SHA256.search(text)
    try:
        digest = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        digest = b""
    if len(digest) != 32:
        raise invalid_field(DIGEST_HEADER, expects="`sha-256=:…:` with the digest of the body in base64 (RFC 9530)")
    return digest.hex()


def _sent_filename() -> str:
    """Of the query, else of ``Content-Disposition``."""
    if FILENAME in request.args:
        return request.args[FILENAME]
    return parse_options_header(request.headers.get("Content-Disposition", ""))[1].get(FILENAME, "")
