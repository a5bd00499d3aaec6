"""What the kernel counts for the TCP connections of this process. Linux only."""

import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Self

_DESCRIPTORS = Path("/proc/self/fd")
_TCP_INFO = struct.Struct("=24xI92xQQ8xI")
"""Of the kernel's ``struct tcp_info``: unacked segments, bytes acked, bytes received, bytes not yet sent."""


class TcpCounters(NamedTuple):
    """What the kernel counts for one connection."""

    sent_bytes: int = 0
    """Those that have arrived at the client."""
    received_bytes: int = 0
    is_sending: bool = False
    """More waits to be sent, or to arrive."""

    @classmethod
    def of(cls, connection: socket.socket) -> Self:
        """Raises ``OSError`` if the socket is not connected."""
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        unacknowledged, sent_bytes, received_bytes, unsent_bytes = _TCP_INFO.unpack(info)
        return cls(sent_bytes, received_bytes, bool(unacknowledged or unsent_bytes))


NOTHING = TcpCounters()


class ConnectionId(NamedTuple):
    """The client's address distinguishes connections that reuse a descriptor."""

    descriptor: int
    peer: object


def is_supported() -> bool:
    return hasattr(socket, "TCP_INFO") and _DESCRIPTORS.is_dir()


def descriptor_count() -> int:
    return len(os.listdir(_DESCRIPTORS))  # noqa: PTH208 - several times as fast as Path.iterdir


def listening_ports() -> set[int]:
    """The ports that this process listens on."""
    return {one.getsockname()[1] for _, one in _tcp_sockets() if _is_listening(one)}


def counters_of(ports: set[int]) -> dict[ConnectionId, TcpCounters]:
    """The counters of all connections that clients have made to these ports."""
    found = {}
    for descriptor, one in _tcp_sockets():
        with suppress(OSError):  # closed meanwhile
            if one.getsockname()[1] in ports and not _is_listening(one):
                found[ConnectionId(descriptor, one.getpeername())] = TcpCounters.of(one)
    return found


@contextmanager
def opened(connection: ConnectionId) -> Iterator[socket.socket]:
    """The connection under another descriptor. Raises ``OSError`` if it was closed meanwhile."""
    with socket.socket(fileno=os.dup(connection.descriptor)) as one:
        if one.getpeername() != connection.peer:
            raise ConnectionAbortedError
        yield one


def _tcp_sockets() -> Iterator[tuple[int, socket.socket]]:
    for name in os.listdir(_DESCRIPTORS):  # noqa: PTH208
        with suppress(OSError):  # closed meanwhile
            descriptor = int(name)
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as one:
                    if one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM:
                        yield descriptor, one


def _is_listening(one: socket.socket) -> bool:
    return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
