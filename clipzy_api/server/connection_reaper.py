"""Closes connections whose clients are too slow, and the longest incomplete ones if there are too many.

The server has a timeout for headers, but none for a body or for a reader, no limit that lets new clients in, and does
not show which connection belongs to a request. So a thread compares what the kernel counts for each connection. It
closes one on which for some time hardly anything was received or taken: a slow upload, a slow reader, a client that has
vanished, or one that keeps an answered connection open, which will connect again. Linux only.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from clipzy_api.server import tcp_counters
from clipzy_api.server.tcp_counters import NOTHING, ConnectionId, TcpCounters

IDLE_TIMEOUT_SECONDS = 20.0
MIN_BYTES_PER_TIMEOUT = 128 << 10
"""What a client has to send or to take in that time, as long as there is something to send or to take."""
CHECK_EVERY_SECONDS = 2.0
COUNT_EVERY_SECONDS = 0.25

_DROP_UNSENT_ON_CLOSE = struct.pack("ii", 1, 0)
"""As ``struct linger``: on, 0 s."""

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class Activity:
    """What is known of one connection: its counters at its latest progress, and at the latest check."""

    progress_at: float
    progress: TcpCounters = NOTHING
    latest: TcpCounters = NOTHING
    is_answered: bool = False
    """The latest bytes on the connection were sent by the server."""

    def updated(self, counters: TcpCounters, now: float) -> "Activity":
        has_sent = counters.sent_bytes != self.latest.sent_bytes
        has_received = counters.received_bytes != self.latest.received_bytes
        is_answered = has_sent or (self.is_answered and not has_received)
        after = replace(self, latest=counters, is_answered=is_answered)
        return replace(after, progress=counters, progress_at=now) if self._has_progressed(counters) else after

    def is_late(self, now: float, *, timeout_seconds: float, is_overdue: bool) -> bool:
        """Whether its client is too slow; unless it takes what was sent to it, that may be due to ``is_overdue``."""
        return now - self.progress_at >= timeout_seconds and (self.latest.is_sending or not is_overdue)

    def is_uploading(self, now: float) -> bool:
        """Whether a request arrives at a good pace."""
        is_at_pace = now - self.progress_at < 2 * CHECK_EVERY_SECONDS
        return is_at_pace and not self.is_answered and self.progress.received_bytes >= MIN_BYTES_PER_TIMEOUT

    def _has_progressed(self, counters: TcpCounters) -> bool:
        sent_bytes = counters.sent_bytes - self.progress.sent_bytes
        received_bytes = counters.received_bytes - self.progress.received_bytes
        has_taken_all = sent_bytes > 0 and not counters.is_sending
        return has_taken_all or max(sent_bytes, received_bytes) >= MIN_BYTES_PER_TIMEOUT


class ConnectionReaper:
    """Closes slow and excess connections to the ports that this process listens on.

    ``is_overdue`` reports whether this server has kept a client waiting for long; connections may be idle because of
    that, so none is closed for being idle meanwhile. More than ``kept_connections`` are not kept: first those are
    closed whose request is incomplete or not answered, the ones without progress for longest first, and last those on
    which an upload makes progress.
    """

    def __init__(
        self,
        *,
        is_overdue: Callable[[], bool],
        kept_connections: int,
        idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS,
    ) -> None:
        self._is_overdue = is_overdue
        self._kept_connections = kept_connections
        self._idle_timeout_seconds = idle_timeout_seconds
        self._ports: set[int] = set()
        self._activities: dict[ConnectionId, Activity] = {}
        self._other_descriptors = 0

    def start(self) -> None:
        """Check in a thread for as long as the process lives."""
        if tcp_counters.is_supported():
            threading.Thread(target=self._run, name="connection-reaper", daemon=True).start()

    def run_once(self) -> int:
        """Close the connections that are too slow, and those that are too many; returns their number."""
        self._observe()
        late = self._late()
        excess = self._oldest(len(self._activities) - len(late) - self._kept_connections, but=late)
        if late:
            log.info("web.idle_closed", connections=len(late))
        if excess:
            log.warning("web.too_many_connections", connections=len(self._activities), closed=len(excess))
        return self._close(late) + self._close(excess)

    def _observe(self) -> None:
        self._ports = self._ports or tcp_counters.listening_ports()
        before, now = self._activities, time.monotonic()
        self._activities = {
            connection: before.get(connection, Activity(progress_at=now)).updated(counters, now)
            for connection, counters in tcp_counters.counters_of(self._ports).items()
        }
        self._other_descriptors = tcp_counters.descriptor_count() - len(self._activities)

    def _late(self) -> set[ConnectionId]:
        now, is_overdue = time.monotonic(), self._is_overdue()
        return {
            connection
            for connection, activity in self._activities.items()
            if activity.is_late(now, timeout_seconds=self._idle_timeout_seconds, is_overdue=is_overdue)
        }

    def _oldest(self, count: int, *, but: set[ConnectionId]) -> list[ConnectionId]:
        now = time.monotonic()

        def order(connection: ConnectionId) -> tuple[bool, bool, float]:
            activity = self._activities[connection]
            return activity.is_uploading(now), activity.is_answered, activity.progress_at

        return sorted(self._activities.keys() - but, key=order)[: max(0, count)]

    def _close(self, connections: Iterable[ConnectionId]) -> int:
        """Returns how many of them were still open."""
        closed = 0
        for connection in connections:
            activity = self._activities.pop(connection)
            with suppress(OSError), tcp_counters.opened(connection) as one:
                _shut_down(one, activity)
                closed += 1
        return closed

    def _may_be_too_many(self) -> bool:
        return tcp_counters.descriptor_count() - self._other_descriptors > self._kept_connections

    def _run(self) -> None:
        checked_at = time.monotonic()
        while True:
            time.sleep(COUNT_EVERY_SECONDS)
            try:
                if time.monotonic() - checked_at >= CHECK_EVERY_SECONDS or self._may_be_too_many():
                    checked_at = time.monotonic()
                    self.run_once()
            except OSError as error:  # no free descriptor to check with; the next check may find one
                log.warning("web.idle_check_failed", reason=error.strerror)


def _shut_down(connection: socket.socket, activity: Activity) -> None:
    """End a connection so that its request ends.

    A client that was sending still gets its answer. One that may send its next request must find the connection closed
    both ways, or that request could be lost. What a client does not take is dropped at once: the kernel would keep it.
    """
    if activity.latest.is_sending:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_UNSENT_ON_CLOSE)
    is_over = activity.is_answered or activity.latest.is_sending
    connection.shutdown(socket.SHUT_RDWR if is_over else socket.SHUT_RD)
