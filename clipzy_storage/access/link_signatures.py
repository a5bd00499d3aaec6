"""Signatures of links to files on local storage, as S3's pre-signed URLs have them. Pure."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import urlencode

EXPIRES, SIGNATURE = "expires", "signature"
"""The parameters of the query."""


def signed_query(key: str, *, secret: str, expires_at: datetime) -> str:
    """The query with which a link to this key opens until then."""
    expires = str(int(expires_at.timestamp()))
    return urlencode({EXPIRES: expires, SIGNATURE: _signature(key, expires, secret)})


def is_signed(key: str, *, expires: str, signature: str, secrets: Iterable[str]) -> bool:
    """Whether one of the secrets signed exactly this, whether or not it has expired."""
    given = signature.encode()
    return any(hmac.compare_digest(_signature(key, expires, secret).encode(), given) for secret in secrets)


def has_expired(expires: str, *, now: datetime) -> bool:
    """Of a link that ``is_signed``."""
    return now >= datetime.fromtimestamp(int(expires), UTC)


def _signature(key: str, expires: str, secret: str) -> str:
    """HMAC-SHA-256 over key and expiry, in base64 for URLs."""
    digest = hmac.digest(secret.encode(), f"{key}\n{expires}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
