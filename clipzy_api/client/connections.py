"""Connections: kept ones, and those for uploads, which notice an answer while they still send.

A front end that refuses a body reads no more of it.
"""

import select
from http.client import HTTPException
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    ProxyError,
    SSLError,
    TimeoutError,
)
from urllib3.util import make_headers, parse_url

KEPT_CONNECTIONS = 8
"""To each server; more may be open."""
SEND_TIMEOUT_SECONDS = 120.0
"""For one block of a body; more than a front end that receives ever pauses."""


class _ListeningConnection(HTTPConnection):
    def send(self, data: Any) -> None:
        if self.sock is not None:
            if select.select([self.sock], [], [], 0)[0]:
                raise BrokenPipeError  # after which urllib3 reads the answer
            self.sock.settimeout(SEND_TIMEOUT_SECONDS)  # not that of connecting: a front end may be slow to read
        super().send(data)


class _PatientTlsConnection(HTTPSConnection):
    """Does not listen: an encrypted connection is also readable without an answer."""

    def send(self, data: Any) -> None:
        if self.sock is not None:
            self.sock.settimeout(SEND_TIMEOUT_SECONDS)
        super().send(data)


class _ListeningPool(HTTPConnectionPool):
    ConnectionCls = _ListeningConnection


class _PatientTlsPool(HTTPSConnectionPool):
    ConnectionCls = _PatientTlsConnection


class Connections:
    """Kept connections to any server, through the proxies that the environment names."""

    def __init__(self) -> None:
        self._managers: dict[str | None, PoolManager] = {}

    def to(self, url: str) -> PoolManager:
        proxy = proxy_of(url)
        return self._managers.setdefault(proxy, self._manager(proxy))

    def close(self) -> None:
        for manager in self._managers.values():
            manager.clear()

    def _manager(self, proxy: str | None) -> PoolManager:
        if proxy is None:
            return PoolManager(maxsize=KEPT_CONNECTIONS, retries=False)
        login = parse_url(proxy).auth
        headers = make_headers(proxy_basic_auth=unquote(login)) if login else None
        return ProxyManager(proxy, maxsize=KEPT_CONNECTIONS, retries=False, proxy_headers=headers)


class UploadConnections(Connections):
    """For requests with a body; to be closed after one that failed, whose body may not have been sent to its end."""

    def _manager(self, proxy: str | None) -> PoolManager:
        manager = super()._manager(proxy)
        manager.pool_classes_by_scheme = {"http": _ListeningPool, "https": _PatientTlsPool}
        return manager


def proxy_of(url: str) -> str | None:
    """By HTTP_PROXY, HTTPS_PROXY and NO_PROXY; none on the way to this machine."""
    parts = parse_url(url)
    host = (parts.host or "").strip("[]")
    if _is_loopback(host) or proxy_bypass(host):
        return None
    proxy = getproxies().get(parts.scheme or "")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def cause_of(error: HTTPError) -> str:
    """Why there is no answer, in words that have no address and no secret in them."""
    if isinstance(error, LocationValueError):
        return "its address, or that of the proxy, is none"
    place = "the proxy: " if isinstance(error, ProxyError) else ""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError | HTTPException):
            return place + (getattr(found, "strerror", None) or str(found))
        found = found.__cause__ or next((arg for arg in found.args if isinstance(arg, Exception)), None)
    return "timed out" if isinstance(error, TimeoutError) else type(error).__name__


def was_connected(error: HTTPError) -> bool:
    """Whether the error came after a connection had been opened."""
    return not isinstance(error, (NewConnectionError, ConnectTimeoutError, SSLError, ProxyError, LocationValueError))
