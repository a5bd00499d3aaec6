"""URLs, hosts and origins: whether one is valid, and how a URL is shown without its secrets. Pure."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

# As a browser sends it: no path, no slash at the end, no capitals, and no default port.
_ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_HOST = re.compile(
    r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?)(?::(?P<port>[0-9]{1,5}))?"
)


class Host(NamedTuple):
    """A host name or address, in lower case and without brackets or a dot at its end; and its port, if it has one."""

    name: str
    port: int | None


def parse_host(text: str) -> Host | None:
    """What a ``Host`` header, or an origin after its scheme, says; None if it is malformed."""
    try:
        found = _HOST.fullmatch(text.encode("idna").decode().lower())
    except UnicodeError:  # no host name may be written so
        return None
    return found and Host(found["address"] or found["name"], int(found["port"]) if found["port"] else None)


def host_name(text: str) -> str:
    """The same of a host that has no port. Raises ``ValueError``."""
    host = parse_host(text)
    if host is None or host.port is not None:
        raise ValueError("not a host name")
    return host.name


def redacted(url: str) -> str:
    """The URL without user, password and query, for logs and messages; any of them may be a secret."""
    if "://" not in url:
        return "***" if "@" in url else url
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    netloc = f"***@{parts.netloc.rpartition('@')[2]}" if "@" in parts.netloc else parts.netloc
    return f"{parts.scheme}://{netloc}{parts.path}" + ("?***" if parts.query else "")


def is_origin(text: str) -> bool:
    """Whether it is an origin exactly as browsers send it."""
    return _ORIGIN.fullmatch(text) is not None


def is_url(text: str, schemes: set[str]) -> bool:
    """Whether it is a URL with one of these schemes and a host; of a Redis, with a number as its path."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises if the port is not a number
    except ValueError:
        return False
    if parts.scheme.startswith("redis") and not re.fullmatch(r"/?[0-9]*", parts.path):
        return False
    return parts.scheme in schemes and bool(parts.netloc or (parts.scheme == "unix" and parts.path))
