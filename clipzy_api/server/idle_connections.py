"""Ends connections on which nothing moves: the server lets a body take for ever, and a thread and a place with it.

The server shows nobody the connection of a request. So a thread goes by what the kernel counts for each of them: one
on which for some time nothing was sent and hardly anything came is ended. That is a slow upload, a client that has
vanished, or one that keeps an answered connection open and will connect again. Linux only.
"""

import logging
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

QUIET_SECONDS = 20.0
LEAST_BYTES = 128 << 10  # in QUIET_SECONDS: about 50 kbit/s
LOOK_EVERY_SECONDS = 2.0

_DESCRIPTORS = Path("/proc/self/fd")
_COUNTS = struct.Struct("=24xI92xQQ8xI")  # of the kernel's `struct tcp_info`

log = logging.getLogger(__name__)


class Counts(NamedTuple):
    """What the kernel counts for one connection; the peer tells it from another under the same descriptor."""

    peer: object
    sent_bytes: int
    received_bytes: int
    is_sending: bool

    @classmethod
    def of(cls, connection: socket.socket) -> Self:
        """Raises ``OSError`` where it is no connection."""
        information = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _COUNTS.size)
        unacknowledged, sent_bytes, received_bytes, unsent_bytes = _COUNTS.unpack(information)
        return cls(connection.getpeername(), sent_bytes, received_bytes, bool(unacknowledged or unsent_bytes))

    def has_moved_since(self, before: Self) -> bool:
        return (
            self.peer != before.peer
            or self.is_sending
            or self.sent_bytes != before.sent_bytes
            or self.received_bytes - before.received_bytes >= LEAST_BYTES
        )


class _Seen(NamedTuple):
    """A connection as it was when it last moved, and as it was last seen."""

    moved: Counts
    moved_at: float
    latest: Counts
    is_answered: bool  # the last that happened on it was an answer of ours

    def then(self, counts: Counts, now: float) -> "_Seen":
        is_answered = self.is_answered
        if counts.sent_bytes != self.latest.sent_bytes or counts.received_bytes != self.latest.received_bytes:
            is_answered = counts.sent_bytes != self.latest.sent_bytes
        if counts.has_moved_since(self.moved):
            return _Seen(counts, now, counts, is_answered)
        return _Seen(self.moved, self.moved_at, counts, is_answered)


class IdleConnectionReaper:
    """Looks at the connections to the ports that this process listens on."""

    def __init__(self, *, is_late: Callable[[], bool], quiet_seconds: float = QUIET_SECONDS) -> None:
        """``is_late``: whether we ourselves have kept a client waiting for long; then nobody is to blame for it."""
        self._is_late = is_late
        self._quiet_seconds = quiet_seconds
        self._ports: set[int] = set()
        self._seen: dict[int, _Seen] = {}

    def start(self) -> None:
        """Go on looking for as long as the process lives."""
        if hasattr(socket, "TCP_INFO") and _DESCRIPTORS.is_dir():
            threading.Thread(target=self._watch, name="connection-watch", daemon=True).start()

    def look(self) -> int:
        """End what has been quiet for too long by now; returns how many there were."""
        self._ports = self._ports or _listening_ports()
        before, self._seen = self._seen, {}
        may_end, ended = not self._is_late(), 0
        for descriptor, connection in _tcp_sockets():
            with suppress(OSError):  # closed meanwhile
                if _is_listening(connection) or connection.getsockname()[1] not in self._ports:
                    continue
                counts, now = Counts.of(connection), time.monotonic()
                seen = before.get(descriptor, _Seen(counts, now, counts, is_answered=False)).then(counts, now)
                if may_end and now - seen.moved_at >= self._quiet_seconds:
                    # A sender is still answered. Who waits to send again must not be: what it sends now may be lost.
                    connection.shutdown(socket.SHUT_RDWR if seen.is_answered else socket.SHUT_RD)
                    ended += 1
                else:
                    self._seen[descriptor] = seen
        return ended

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_EVERY_SECONDS)
            try:
                ended = self.look()
            except OSError as error:  # no descriptor is left to look with: at the next look
                log.warning("web.not_watching: %s", error.strerror)
                continue
            if ended:
                log.info("web.quiet: ended %d connections on which nothing moved", ended)


def _listening_ports() -> set[int]:
    return {one.getsockname()[1] for _, one in _tcp_sockets() if _is_listening(one)}


def _tcp_sockets() -> Iterator[tuple[int, socket.socket]]:
    """Those of this process one after the other, each by a second descriptor that is closed before the next."""
    for path in _DESCRIPTORS.iterdir():
        with suppress(OSError):  # closed meanwhile
            descriptor = int(path.name)
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as one:
                    if one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM:
                        yield descriptor, one


def _is_listening(one: socket.socket) -> bool:
    return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
