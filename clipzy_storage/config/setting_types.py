"""The types of settings whose values are read in a way of their own."""

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from clipzy_storage.config.redis_url import RedisUrl
from clipzy_storage.config.urls import host_name, is_origin, is_url

ANY_HOST = "*"


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
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper_case)]
