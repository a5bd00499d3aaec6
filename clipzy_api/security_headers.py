"""Security headers of every answer, and cross-origin resource sharing (CORS)."""

from collections.abc import Collection
from urllib.parse import urlsplit

from flask import Flask, Response, request

OWN_RESOURCE_POLICY = "same-site"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": OWN_RESOURCE_POLICY,
    "Cache-Control": "no-store",
}
ALLOWED_HEADERS = (
    "Authorization, Content-Digest, Content-Disposition, Content-Type, Idempotency-Key, If-None-Match, If-Range,"
    " Last-Event-ID, Range, Tus-Resumable, Upload-Checksum, Upload-Length, Upload-Metadata, Upload-Offset,"
    " X-HTTP-Method-Override, X-Request-ID"
)
EXPOSED_HEADERS = (
    "Accept-Ranges, Content-Disposition, Content-Range, ETag, Idempotent-Replayed, Link, Location, Retry-After,"
    " Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, Upload-Expires, Upload-Length,"
    " Upload-Metadata, Upload-Offset, X-Request-ID"
)
PREFLIGHT_SECONDS = "600"


def register(app: Flask, *, origins: Collection[str]) -> None:
    """Set ``HEADERS`` on every answer that has no others, and allow pages of exactly these ``origins``."""

    @app.after_request
    def add_headers(answer: Response) -> Response:
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        if origins:
            _add_cors(answer, origins)
        if answer.status_code == 204 or (request.method == "OPTIONS" and answer.status_code == 200):
            answer.headers.pop("Content-Type", None)  # Flask names HTML where there is no content
        return answer


def _add_cors(answer: Response, origins: Collection[str]) -> None:
    """Without credentials: there are no cookies."""
    answer.vary.update(("Origin", "Referer"))
    answer.headers["Cross-Origin-Resource-Policy"] = _resource_policy(origins)
    origin = request.headers.get("Origin")
    if origin not in origins:
        return
    answer.headers["Access-Control-Allow-Origin"] = origin
    answer.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        answer.headers["Access-Control-Allow-Methods"] = answer.headers.get("Allow", "")
        answer.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        answer.headers["Access-Control-Max-Age"] = PREFLIGHT_SECONDS


def _resource_policy(origins: Collection[str]) -> str:
    """What a browser is told that loads an image or a video for a page, of which it sends no ``Origin``.

    It names the page's origin in ``Referer`` unless the page has that withheld. Other clients ignore the policy.
    """
    if not (referer := request.headers.get("Referer")):
        return OWN_RESOURCE_POLICY if "Sec-Fetch-Site" in request.headers else "cross-origin"
    page = urlsplit(referer)
    return "cross-origin" if f"{page.scheme}://{page.netloc}" in origins else OWN_RESOURCE_POLICY
