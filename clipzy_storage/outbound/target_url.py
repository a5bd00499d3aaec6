"""A URL that a client has named, taken apart once: what is checked is what is connected to. Pure."""

import ipaddress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, urljoin, urlsplit

from clipzy_storage.config.urls import parse_host
from clipzy_storage.errors import UrlRefused

MAX_URL_LENGTH = 8192
_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNESCAPED = "/%:=&?~+!$,;'@()*[]"


@dataclass(frozen=True)
class TargetUrl:
    """Its parts. Path and query may hold secrets, and so are not shown by ``repr``."""

    scheme: str
    host: str
    """Of ASCII, in lower case, without brackets."""
    port: int
    target: str = field(repr=False)
    """The path with its query, escaped as a request has it."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ``UrlRefused``."""
        if len(text) > MAX_URL_LENGTH:
            raise UrlRefused(f"it is longer than {MAX_URL_LENGTH} characters")
        if not text.isprintable() or any(char.isspace() for char in text) or "\\" in text:
            raise UrlRefused("it has a space, a backslash or a control character")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise UrlRefused("it is malformed") from None
        if parts.scheme not in _DEFAULT_PORTS:
            raise UrlRefused("it does not begin with http:// or https://")
        if "@" in parts.netloc:
            raise UrlRefused("it has a user name or a password")
        if port == 0:
            raise UrlRefused("it has the port 0")
        query = f"?{quote(parts.query, safe=_UNESCAPED)}" if parts.query else ""
        path = quote(parts.path or "/", safe=_UNESCAPED) + query
        return cls(parts.scheme, _host(parts.hostname or ""), port or _DEFAULT_PORTS[parts.scheme], path)

    def joined(self, location: str) -> Self:
        """Where a redirect leads. Raises ``UrlRefused``, also if it leads from https to http."""
        try:
            joined = urljoin(f"{self.scheme}://{self.host_header}{self.target}", location)
        except ValueError:
            raise UrlRefused("it redirects to a malformed URL") from None
        target = type(self).parse(joined)
        if (self.scheme, target.scheme) == ("https", "http"):
            raise UrlRefused("it redirects from https to http")
        return target

    @property
    def host_header(self) -> str:
        """As the ``Host`` header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def last_segment(self) -> str:
        """What the path ends in, escaped."""
        return urlsplit(self.target).path.rpartition("/")[2]


def _host(text: str) -> str:
    try:
        if ":" in text:
            return str(ipaddress.IPv6Address(text.partition("%")[0])) if "%" not in text else _no_host()
        host = parse_host(text)
    except ValueError:
        host = None
    return host.name if host else _no_host()


def _no_host() -> str:
    raise UrlRefused("its host is missing or malformed")
