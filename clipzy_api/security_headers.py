"""What browsers are told beside an answer: what they may do with it, and which pages may read it."""

from collections.abc import Collection

from flask import Flask, Response, request

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
    "Cache-Control": "no-store",
}
MAY_BE_SENT = "Content-Type, Idempotency-Key, If-None-Match, If-Range, Last-Event-ID, Range, X-Request-ID"
MAY_BE_READ = (
    "Accept-Ranges, Content-Disposition, Content-Range, ETag, Idempotent-Replayed, Link, Location, Retry-After,"
    " X-Request-ID"
)
PREFLIGHT_SECONDS = "600"


def register(app: Flask, *, origins: Collection[str]) -> None:
    """Put ``HEADERS`` on every answer that does not say otherwise, and let pages of exactly ``origins`` in."""

    @app.after_request
    def protect(answer: Response) -> Response:
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        if origins:
            _share(answer, origins)
        return answer


def _share(answer: Response, origins: Collection[str]) -> None:
    """Cross-origin resource sharing, without cookies: nothing here knows any."""
    answer.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin not in origins:
        return
    answer.headers["Access-Control-Allow-Origin"] = origin
    answer.headers["Access-Control-Expose-Headers"] = MAY_BE_READ
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        answer.headers["Access-Control-Allow-Methods"] = answer.headers.get("Allow", "")
        answer.headers["Access-Control-Allow-Headers"] = MAY_BE_SENT
        answer.headers["Access-Control-Max-Age"] = PREFLIGHT_SECONDS
