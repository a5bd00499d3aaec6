"""Refuses what a foreign web page could have a browser send: requests under a host name that is not this server's (DNS
rebinding), and changes from a page of another origin (cross-site requests).
"""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask, request

from clipzy_api.problems import ApiError
from clipzy_storage.config.setting_types import ANY_HOST
from clipzy_storage.config.settings import Settings
from clipzy_storage.config.urls import Host, parse_host

# Asked by whatever address the prober has.
PATHS_FOR_ANY_HOST = frozenset({"/healthz", "/readyz", "/metrics"})

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_OWN_FETCH_SITES = frozenset({"same-origin", "none"})  # none: by the user, not by a page
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class AllowedHosts:
    """The host names of this server; every IP address is one, since no DNS answer can forge it."""

    names: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> "AllowedHosts":
        public_host = parse_host(urlsplit(settings.public_url or "").netloc.rpartition("@")[2])
        public_name = {public_host.name} if public_host else set()
        return cls(frozenset({"localhost", *settings.allowed_hosts} | public_name))

    def __contains__(self, host: Host) -> bool:
        return host.name in self.names or ANY_HOST in self.names or _is_address(host.name)


def is_foreign(*, origin: str | None, fetch_site: str | None, host: Host, friends: Collection[str]) -> bool:
    """Whether a page sent the request whose origin is neither that of ``host`` nor one of ``friends``.

    ``origin`` and ``fetch_site`` are the headers ``Origin`` and ``Sec-Fetch-Site``; no browser leaves out both when it
    sends a change for a page.
    """
    if origin is not None and origin in friends:
        return False
    if fetch_site is not None:
        return fetch_site not in _OWN_FETCH_SITES
    return origin is not None and not _is_origin_of(origin, host)


def _is_origin_of(origin: str, host: Host) -> bool:
    scheme, _, rest = origin.lower().partition("://")
    page, default_port = parse_host(rest), _DEFAULT_PORTS.get(scheme)
    if page is None or default_port is None:  # "null", an extension of the browser
        return False
    # Without a port the host has the default one of the client's scheme, which a proxy may have terminated.
    return page.name == host.name and (page.port or default_port) == (host.port or default_port)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def register(app: Flask, settings: Settings) -> None:
    """Check every request before anything else is done with it, so for unknown addresses too."""
    allowed, friends = AllowedHosts.of(settings), settings.cors_origins

    @app.before_request
    def refuse_foreign() -> None:
        is_for_any_host = request.path in PATHS_FOR_ANY_HOST
        host = _requested_host(is_required=not is_for_any_host)
        if not is_for_any_host and host not in allowed:
            raise _wrong_host(host)
        headers = request.headers
        if request.method not in _SAFE_METHODS and is_foreign(
            origin=headers.get("Origin"), fetch_site=headers.get("Sec-Fetch-Site"), host=host, friends=friends
        ):
            raise _cross_site()


def _requested_host(*, is_required: bool) -> Host:
    """The host that the client asked for: as it is forwarded by trusted proxies, else as it was sent.

    Raises ``ApiError`` 400 for none, several or a malformed one. Where ``is_required`` is false, HTTP/1.0, which knows
    no ``Host``, may leave it out.
    """
    forwarded = request.environ.get("HTTP_HOST", "")
    sent = request.environ.get("werkzeug.proxy_fix.orig", request.environ).get("HTTP_HOST", "")
    if not (sent or is_required or request.environ["SERVER_PROTOCOL"] == "HTTP/1.1"):
        return Host("", None)
    host = parse_host(forwarded)
    if host is None or parse_host(sent) is None:  # the server joins several with a comma
        raise ApiError("BAD_REQUEST", detail="A request needs exactly one well-formed `Host`.")
    return host


def _wrong_host(host: Host) -> ApiError:
    detail = f"`{host.name[:100]}` is not a name of this server. If it should be one, add it to ALLOWED_HOSTS."
    return ApiError("WRONG_HOST", detail=detail)


def _cross_site() -> ApiError:
    detail = "A web page of another origin sent this. If it may, add its origin to CORS_ORIGINS."
    return ApiError("CROSS_SITE", detail=detail)
