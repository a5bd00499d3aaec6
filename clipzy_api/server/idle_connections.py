"""Closes idle connections. granian has no body timeout: a stalled upload would hold its thread and slot forever.

The server does not expose the connection of a request. So a thread compares what the kernel counts for each connection,
and closes one on which for some time nothing was sent and hardly anything was received: a slow upload, a client that
has vanished, or one that keeps an answered connection open, which will connect again. Linux only.
"""

import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

import structlog

IDLE_TIMEOUT_SECONDS = 20.0
MIN_RECEIVED_BYTES_PER_TIMEOUT = 128 << 10
CHECK_EVERY_SECONDS = 2.0

_DESCRIPTORS = Path("/proc/self/fd")
_TCP_INFO = struct.Struct("=24xI92xQQ8xI")
"""Of the kernel's ``struct tcp_info``: unacked segments, bytes acked, bytes received, bytes not yet sent."""

log = structlog.stdlib.get_logger(__name__)


class TcpCounters(NamedTuple):
    """What the kernel counts for one connection. ``peer`` distinguishes connections that reuse a descriptor."""

    peer: object
    sent_bytes: int
    received_bytes: int
    is_sending: bool

    @classmethod
    def of(cls, connection: socket.socket) -> Self:
        """Raises ``OSError`` if the socket is not connected."""
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        unacknowledged, sent_bytes, received_bytes, unsent_bytes = _TCP_INFO.unpack(info)
        return cls(connection.getpeername(), sent_bytes, received_bytes, bool(unacknowledged or unsent_bytes))

    def is_active_since(self, before: Self) -> bool:
        return (
            self.peer != before.peer
            or self.is_sending
            or self.sent_bytes != before.sent_bytes
            or self.received_bytes - before.received_bytes >= MIN_RECEIVED_BYTES_PER_TIMEOUT
        )


class _Activity(NamedTuple):
    """The counters of a connection when it was last active, and at the latest check."""

    active: TcpCounters
    active_at: float
    latest: TcpCounters
    is_answered: bool
    """The latest bytes on the connection were sent by the server."""

    def updated(self, counters: TcpCounters, now: float) -> "_Activity":
        is_answered = self.is_answered
        if counters.sent_bytes != self.latest.sent_bytes or counters.received_bytes != self.latest.received_bytes:
            is_answered = counters.sent_bytes != self.latest.sent_bytes
        if counters.is_active_since(self.active):
            return _Activity(counters, now, counters, is_answered)
        return _Activity(self.active, self.active_at, counters, is_answered)


class IdleConnectionReaper:
    """Closes idle connections to the ports that this process listens on.

    ``is_overdue`` reports whether this server has kept a client waiting for long; connections may be idle because of
    that, so none is closed meanwhile.
    """

    def __init__(self, *, is_overdue: Callable[[], bool], idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS) -> None:
        self._is_overdue = is_overdue
        self._idle_timeout_seconds = idle_timeout_seconds
        self._ports: set[int] = set()
        self._activities: dict[int, _Activity] = {}

    def start(self) -> None:
        """Check in a thread for as long as the process lives."""
        if hasattr(socket, "TCP_INFO") and _DESCRIPTORS.is_dir():
            threading.Thread(target=self._run, name="idle-connections", daemon=True).start()

    def run_once(self) -> int:
        """Close the connections that have been idle for too long; returns their number."""
        self._ports = self._ports or _listening_ports()
        before, self._activities = self._activities, {}
        may_close, closed = not self._is_overdue(), 0
        for descriptor, connection in _tcp_sockets():
            with suppress(OSError):  # closed meanwhile
                if _is_listening(connection) or connection.getsockname()[1] not in self._ports:
                    continue
                counters, now = TcpCounters.of(connection), time.monotonic()
                known = before.get(descriptor, _Activity(counters, now, counters, is_answered=False))
                activity = known.updated(counters, now)
                if may_close and now - activity.active_at >= self._idle_timeout_seconds:
                    # A client that was sending still gets its answer. One that may send its next request must find the
                    # connection closed both ways, or that request could be lost.
                    connection.shutdown(socket.SHUT_RDWR if activity.is_answered else socket.SHUT_RD)
                    closed += 1
                else:
                    self._activities[descriptor] = activity
        return closed

    def _run(self) -> None:
        while True:
            time.sleep(CHECK_EVERY_SECONDS)
            try:
                closed = self.run_once()
            except OSError as error:  # no free descriptor to check with; the next check may find one
                log.warning("web.idle_check_failed", reason=error.strerror)
                continue
            if closed:
                log.info("web.idle_closed", connections=closed)


def _listening_ports() -> set[int]:
    return {one.getsockname()[1] for _, one in _tcp_sockets() if _is_listening(one)}


def _tcp_sockets() -> Iterator[tuple[int, socket.socket]]:
    """The TCP sockets of this process in turn, each under a duplicate descriptor that is closed before the next."""
    for path in _DESCRIPTORS.iterdir():
        with suppress(OSError):  # closed meanwhile
            descriptor = int(path.name)
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as one:
                    if one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM:
                        yield descriptor, one


def _is_listening(one: socket.socket) -> bool:
    return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
