"""Connections that notice an answer while they still send: a front end that refuses a body reads no more of it."""

import select
from http.client import HTTPException
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError, TimeoutError

SEND_TIMEOUT_SECONDS = 600.0


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


def upload_connections() -> PoolManager:
    """For one request with a body; to be closed after it, since the body may not have been sent to its end."""
    pool = PoolManager(retries=False)
    pool.pool_classes_by_scheme = {"http": _ListeningPool, "https": _PatientTlsPool}
    return pool


def cause_of(error: HTTPError) -> str:
    """Why there is no answer, in words that have no address and no secret in them."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError | HTTPException):
            return getattr(found, "strerror", None) or str(found)
        found = found.__cause__ or next((arg for arg in found.args if isinstance(arg, Exception)), None)
    return "timed out" if isinstance(error, TimeoutError) else type(error).__name__


def was_connected(error: HTTPError) -> bool:
    """Whether the error came after a connection had been opened."""
    return not isinstance(error, (NewConnectionError, ConnectTimeoutError, SSLError))
