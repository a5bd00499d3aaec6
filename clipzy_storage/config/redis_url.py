"""The URL of a Redis, parsed once: records and broker connect with what was parsed, never with the text. Pure."""

import re
from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

DEFAULT_PORT = 6379

CertificateCheck = Literal["required", "optional", "none"]

_SCHEMES = {"redis", "rediss", "unix"}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_MAX_DATABASE = 2**31 - 1
_MAX_SOCKET_PATH_BYTES = 103  # of macOS; Linux allows 107
# Both ways to write it: those of redis-py and of Celery.
_CHECKS: dict[str, CertificateCheck] = {
    **{"required": "required", "optional": "optional", "none": "none"},
    **{"CERT_REQUIRED": "required", "CERT_OPTIONAL": "optional", "CERT_NONE": "none"},
}
_ESCAPES = "write / ? # @ in a password as %2F %3F %23 %40"
_FILES = {"ssl_ca_certs": "ca_certs", "ssl_certfile": "certfile", "ssl_keyfile": "keyfile"}


class BadRedisUrl(ValueError):
    """The text is not the URL of a Redis that both clients can use; the message says why, and repeats no secret."""


@dataclass(frozen=True)
class TlsOptions:
    """How the server's certificate is checked, and which one is presented to it. Files are PEM."""

    check: CertificateCheck = "required"
    check_hostname: bool = True
    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None

    def files(self) -> list[str]:
        """Those that must be readable."""
        return [path for path in (self.ca_certs, self.certfile, self.keyfile) if path is not None]

    def as_options(self) -> dict[str, str | bool]:
        """By the names of redis-py, which kombu passes on to it."""
        hostname = self.check_hostname and self.check != "none"
        files = {name: getattr(self, attribute) for name, attribute in _FILES.items()}
        given = {name: path for name, path in files.items() if path is not None}
        return {"ssl_cert_reqs": self.check, "ssl_check_hostname": hostname, **given}


@dataclass(frozen=True)
class RedisUrl:
    """Where a Redis is and how to log in. Its ``str`` and ``repr`` show neither user nor password."""

    host: str
    """Empty for a Unix socket."""
    port: int
    socket_path: str
    """Absolute; empty for TCP."""
    db: int
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)
    tls: TlsOptions | None
    """None for a connection that is not encrypted."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ``BadRedisUrl``."""
        parts = _split(text)
        is_socket = parts.scheme == "unix"
        username, password = _credentials(parts)
        options = _options(parts.query)
        url = cls(
            host="" if is_socket else _host(parts),
            port=0 if is_socket else parts.port or DEFAULT_PORT,
            socket_path=_socket_path(parts) if is_socket else "",
            db=_database("" if is_socket else parts.path.removeprefix("/"), options.pop("db", None)),
            username=username,
            password=password,
            tls=_tls(options) if parts.scheme == "rediss" else None,
        )
        if options:
            raise BadRedisUrl(_unusable_option(next(iter(options)), parts.scheme))
        return url

    def __str__(self) -> str:
        login = "***@" if self.username or self.password else ""
        if self.socket_path:
            return f"unix://{login}{self.socket_path}" + (f"?db={self.db}" if self.db else "")
        return f"{self._scheme}://{login}{self._address}/{self.db}"

    def for_kombu(self) -> str:
        """The URL as kombu reads it, without TLS options. It contains the password."""
        login = ""
        if self.username or self.password:
            login = f"{quote(self.username or '', safe='')}:{quote(self.password or '', safe='')}@"
        if self.socket_path:
            return f"redis+socket://{login}{quote(self.socket_path)}?virtual_host={self.db}"
        return f"{self._scheme}://{login}{self._address}/{self.db}"

    @property
    def _scheme(self) -> str:
        return "rediss" if self.tls else "redis"

    @property
    def _address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises if the port is not a number
    except ValueError as error:
        raise BadRedisUrl(f"host or port is malformed; {_ESCAPES}") from error
    if parts.scheme not in _SCHEMES or "://" not in text:
        raise BadRedisUrl("it does not begin with redis://, rediss:// or unix://")
    if "#" in text or not text.isprintable() or parts.port == 0:
        raise BadRedisUrl(f"it is malformed; {_ESCAPES}")
    return parts


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        raise BadRedisUrl(f"it names no host; {_ESCAPES}")
    return host


def _socket_path(parts: SplitResult) -> str:
    """After ``unix://``, which has no host, so that the path begins with the third slash."""
    path = unquote(parts.path)
    if parts.netloc.rpartition("@")[2] or not path.startswith("/") or path == "/" or not path.isprintable():
        raise BadRedisUrl("a Unix socket needs its absolute path, as in unix:///run/redis.sock")
    if len(path.encode()) > _MAX_SOCKET_PATH_BYTES:
        raise BadRedisUrl(f"the path of a Unix socket has at most {_MAX_SOCKET_PATH_BYTES} bytes")
    return path


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    if parts.username and parts.password is None:
        raise BadRedisUrl("it has a user without a password; write a password alone as redis://:password@host")
    return unquote(parts.username or "") or None, unquote(parts.password or "") or None


def _options(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) < len(pairs) or any("=" not in part for part in query.split("&") if query):
        raise BadRedisUrl("what follows its ? is not a list of different options")
    return options


def _database(path: str, option: str | None) -> int:
    if option is not None and path not in ("", option):
        raise BadRedisUrl("it names two databases")
    text = path if option is None else option
    if not re.fullmatch(r"[0-9]{0,10}", text, re.ASCII) or int(text or 0) > _MAX_DATABASE:
        raise BadRedisUrl("the database is not a number")
    return int(text or 0)


def _tls(options: dict[str, str]) -> TlsOptions:
    """Takes its options out of ``options``."""
    check = options.pop("ssl_cert_reqs", "required")
    hostname = options.pop("ssl_check_hostname", "true").lower()
    if check not in _CHECKS:
        raise BadRedisUrl(f"ssl_cert_reqs takes {', '.join(_CHECKS)}")
    if hostname not in ("true", "false"):
        raise BadRedisUrl("ssl_check_hostname takes true or false")
    files = {attribute: options.pop(name, None) or None for name, attribute in _FILES.items()}
    if not all(path.isprintable() for path in files.values() if path):
        raise BadRedisUrl("the path of a file of TLS has a character that no path should have")
    return TlsOptions(_CHECKS[check], hostname == "true", **files)


def _unusable_option(name: str, scheme: str) -> str:
    if name in {"ssl_cert_reqs", "ssl_check_hostname", *_FILES}:
        return f"{name} needs rediss://, and this is {scheme}://"
    known = ", ".join(("db", "ssl_cert_reqs", "ssl_check_hostname", *_FILES))
    return f"the option {name} cannot be used; these can: {known}"
