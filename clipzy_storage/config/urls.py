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


_PLACE_ALONE = re.compile(r"[A-Za-z0-9._-]+:[0-9]{1,5}|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
# A login has no ? or #: behind one of them an @ belongs to a query, or to a password that was not escaped.
_SHOWN = re.compile(
    r"(?P<login>[^?#]*@)?(?P<place>(?:(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)?(?:/[^@?#]*)?)"
    r"(?P<query>\?[^@]*)?(?:#[^@]*)?"
)


def redacted(url: str) -> str:
    """The URL without user, password and query, for logs and messages; any of them may be a secret.

    Also of text that is no URL: whatever cannot be told from a secret is left out.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url if _PLACE_ALONE.fullmatch(url) else "***"
    found = _SHOWN.fullmatch(rest)
    if found is None or not scheme.isascii() or not scheme.replace("+", "").isalnum():
        return f"{scheme}://***" if scheme.isalpha() else "***"
    login = "***@" if found["login"] else ""
    return f"{scheme}://{login}{found['place']}" + ("?***" if found["query"] else "")


def is_origin(text: str) -> bool:
    """Whether it is an origin exactly as browsers send it."""
    return _ORIGIN.fullmatch(text) is not None


def is_url(text: str, schemes: set[str]) -> bool:
    """Whether it is a URL with one of these schemes and a host, which a client can open."""
    if not text.isprintable() or any(char.isspace() for char in text):
        return False
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises if the port is not a number
    except ValueError:
        return False
    host = parts.hostname or ""
    is_address = ":" in host  # with a zone perhaps, which no name may have
    return parts.scheme in schemes and (is_address or parse_host(host) is not None)
