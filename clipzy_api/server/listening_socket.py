"""The socket that a front end accepts connections on, which it shares with no other process."""

import errno
import socket

BACKLOG = 4096
"""Connections that wait to be accepted. The kernel drops what comes on top, and clients try again after up to 7 s."""


class PortUnavailable(Exception):
    """The front end cannot listen at this address; the message says why, in one line."""


def bind(host: str, port: int) -> socket.socket:
    """A socket at this address, on which ``listen`` can be called; the port is a free one for 0.

    Connections of an earlier process that have not ended yet (TIME_WAIT) are not in the way. Raises ``PortUnavailable``
    if another process listens there.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _unavailable(host, port, error) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted connections inherit it
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _unavailable(host, port, error) from error
    return bound


def listen(bound: socket.socket) -> None:
    """Let clients connect. Raises ``PortUnavailable`` if another process was first to do so."""
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        host, port = bound.getsockname()[:2]
        raise _unavailable(host, port, error) from error


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _unavailable(host: str, port: int, error: OSError) -> PortUnavailable:
    if error.errno == errno.EADDRINUSE:
        return PortUnavailable(f"port {port} on {host} is taken. Choose another with --port.")
    return PortUnavailable(f"cannot listen on {host} port {port}: {error.strerror}.")
