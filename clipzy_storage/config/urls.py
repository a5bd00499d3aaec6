"""URLs in settings: whether one is valid, and how it is shown without its secrets. Pure."""

import re
from urllib.parse import urlsplit

# As a browser sends it: no path, no slash at the end, no capitals, and no default port.
_ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


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
