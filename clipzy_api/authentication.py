"""API keys: who sent a request, before anything else is done with it. Also says where a front end may do without."""

import ipaddress
import socket
from datetime import UTC, datetime
from typing import NoReturn

import structlog
from flask import Flask, g, request

from clipzy_api.callers import ANYONE, METRICS, UNKNOWN, Caller, is_open, takes_signature
from clipzy_api.key_audit import Refusal
from clipzy_api.problems import ApiError, key_needed, unauthorized
from clipzy_api.services import OWNER_KEY, services
from clipzy_storage.access.api_keys import KeyText
from clipzy_storage.access.link_signatures import SIGNATURE
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError
from clipzy_storage.models.access import ApiKey, Scope

_SAFE_METHODS = frozenset({"GET", "HEAD"})
_WRITING = frozenset({"direct_uploads.sign_parts"})
"""The endpoints that let their callers write whatever the method."""
_SCHEME = "bearer "


def require_choice(host: str, settings: Settings) -> None:
    """Raise ``ConfigurationError`` if other machines can reach this address and nobody said who may."""
    if settings.auth is None and not _is_loopback(host):
        raise ConfigurationError(
            [
                f"CLIPZY_AUTH is missing, and other machines can reach {host}. Set CLIPZY_AUTH=keys to ask for API"
                " keys, of which `clipzy keys create NAME` makes the first one, or CLIPZY_AUTH=none to let everyone who"
                " reaches this address do everything. Or listen on 127.0.0.1."
            ]
        )


def _is_loopback(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(str(address[0]).split("%")[0]).is_loopback for *_, address in found)


def register(app: Flask, settings: Settings) -> None:
    """Note who sends each request, and refuse those who may not."""

    @app.before_request
    def authenticate() -> None:
        g.caller = _caller() if settings.auth == "keys" else ANYONE
        if g.caller.owner:
            request.environ[OWNER_KEY] = g.caller.owner


def _caller() -> Caller:
    """Raises ``ApiError`` 401 and 403, and ``StorageError``."""
    is_preflight = request.method == "OPTIONS"
    if is_preflight or _is_signed() or is_open(request.path):
        return UNKNOWN
    sent = request.headers.get("Authorization")
    if sent is None:
        raise key_needed()
    key = _known(sent)
    _require(_needed_scope(), key)
    services().key_use.note(key)
    structlog.contextvars.bind_contextvars(key_id=key.key_id)
    return Caller.with_key(key)


def _needed_scope() -> Scope:
    if request.path == METRICS:
        return Scope.METRICS
    only_reads = request.method in _SAFE_METHODS and request.endpoint not in _WRITING
    return Scope.READ if only_reads else Scope.WRITE


def _is_signed() -> bool:
    """Whether the address brings its own permission, whoever sends it and with whatever credentials of a proxy."""
    return takes_signature(request.path) and SIGNATURE in request.args


def _known(sent: str) -> ApiKey:
    text = KeyText.parse(sent[len(_SCHEME) :].strip()) if sent.lower().startswith(_SCHEME) else None
    if text is None:
        _refuse(Refusal.NO_KEY, "The `Authorization` header holds no API key; it should be `Bearer clz_…`.")
    key = services().api_keys.find(text.key_id)
    if key is None or not text.opens(key):  # why is for the log alone
        _refuse(_why_unknown(text.key_id, key), "The API key is unknown or revoked.", key_id=text.key_id)
    if key.is_expired(datetime.now(UTC)):
        _refuse(Refusal.EXPIRED, "The API key has expired.", key_id=key.key_id)
    return key


def _why_unknown(key_id: str, key: ApiKey | None) -> Refusal:
    if key is not None:
        return Refusal.WRONG_SECRET
    return Refusal.REVOKED if services().api_keys.was_revoked(key_id) else Refusal.UNKNOWN


def _refuse(why: Refusal, detail: str, *, key_id: str | None = None) -> NoReturn:
    """Have the refusal logged, and raise ``ApiError`` 401."""
    services().refused_keys.note(why, key_id=key_id)
    raise unauthorized(detail, challenge='Bearer error="invalid_token"')


def _require(scope: Scope, key: ApiKey) -> None:
    if scope not in key.scopes:
        services().refused_keys.note(Refusal.SCOPE, key_id=key.key_id)
        detail = f"The API key lacks the scope `{scope}`, which this call needs."
        raise ApiError("FORBIDDEN", detail=detail)
