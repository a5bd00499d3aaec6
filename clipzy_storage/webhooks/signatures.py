"""Signatures as the Standard Webhooks specification has them (https://www.standardwebhooks.com). Pure."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

from clipzy_storage.config.setting_types import WEBHOOK_SECRET_PREFIX, webhook_secret_bytes
from clipzy_storage.models.records import EVERYONE

_DERIVATION = "clipzy webhooks of "


def secrets_of(owner: str, secrets: Sequence[str]) -> list[str]:
    """The secrets with which deliveries to this owner are signed.

    Those of ``everyone`` are ``WEBHOOK_SECRETS`` themselves. Any other owner's are derived from them, so that no owner
    can sign what another receives: HMAC-SHA-256 with the secret over ``clipzy webhooks of {owner}``.
    """
    return list(secrets) if owner == EVERYONE else [_derived(secret, owner) for secret in secrets]


def signed_headers(delivery_id: str, body: bytes, *, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The headers of one attempt: the body is signed with each of the secrets."""
    timestamp = str(int(now.timestamp()))
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    signatures = [f"v1,{_base64(_hmac(webhook_secret_bytes(secret), signed))}" for secret in secrets]
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _derived(secret: str, owner: str) -> str:
    return WEBHOOK_SECRET_PREFIX + _base64(_hmac(webhook_secret_bytes(secret), f"{_DERIVATION}{owner}".encode()))


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, hashlib.sha256)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
