"""The types of settings whose values are read in a way of their own."""

import base64
import binascii
import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from clipzy_storage.config.redis_url import RedisUrl
from clipzy_storage.config.urls import host_name, is_origin, is_url

ANY_HOST = "*"
WEBHOOK_SECRET_PREFIX = "whsec_"
MOST_WEBHOOK_SECRETS = 2


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _base_url(url: str | None) -> str | None:
    if url is None:
        return None
    if not is_url(url, {"http", "https"}) or "?" in url or "#" in url:
        raise ValueError("not the base of an address")
    return url.rstrip("/")


def _parsed(url: Any) -> Any:
    return RedisUrl.parse(url) if isinstance(url, str) else url


def _listed(text: Any) -> Any:
    return tuple(item.strip() for item in (text or "").split(",") if item.strip())


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    if not all(is_origin(origin) for origin in origins):
        raise ValueError("not a list of origins")
    return origins


def _host_names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name if name == ANY_HOST else host_name(name) for name in names)


def _networks(text: Any) -> Any:
    given = (text or "").strip().lower()
    if given in ("", "false"):
        return ()
    return tuple(map(ip_network, ("0.0.0.0/0", "::/0") if given == "true" else _listed(given)))


def _queues(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or len(set(names)) < len(names):
        raise ValueError("no queue, or one twice")
    return names


def _webhook_secrets(secrets: tuple[str, ...]) -> tuple[str, ...]:
    if len(secrets) > MOST_WEBHOOK_SECRETS:
        raise ValueError("too many")
    for secret in secrets:
        webhook_secret_bytes(secret)
    return secrets


def webhook_secret_bytes(secret: str) -> bytes:
    """What a ``whsec_…`` stands for. Raises ``ValueError`` if it is none."""
    prefix, encoded = secret[: len(WEBHOOK_SECRET_PREFIX)], secret[len(WEBHOOK_SECRET_PREFIX) :]
    try:
        found = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        found = b""
    if prefix != WEBHOOK_SECRET_PREFIX or not 24 <= len(found) <= 64:
        raise ValueError("not a secret of webhooks")
    return found


def _upper_case(text: Any) -> Any:
    return text.upper() if isinstance(text, str) else text


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""Of HTTP, without a slash at its end."""
OptionalBaseUrl = Annotated[str | None, AfterValidator(_base_url)]
ParsedRedisUrl = Annotated[RedisUrl, BeforeValidator(_parsed)]
OptionalRedisUrl = Annotated[RedisUrl | None, BeforeValidator(_parsed)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_origins)]
HostNames = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_host_names)]
"""As browsers send them, or ``ANY_HOST``."""
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)]
"""All of them for ``true``, none for ``false``."""
Queue = Literal["interactive", "batch"]
Queues = Annotated[tuple[Queue, ...], BeforeValidator(_listed), AfterValidator(_queues)]
"""In the order of preference."""
WebhookSecrets = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_webhook_secrets)]
"""As the Standard Webhooks specification writes them."""
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper_case)]
