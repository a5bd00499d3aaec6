"""How long a server that does not answer is waited for."""

import time

from clipzy_api.client.errors import ClipzyError
from clipzy_api.client.transport import Transport

OUTAGE_SECONDS = 120.0
"""How long a front end may be unavailable without an error."""


class Outage:
    """Whether there has been no progress for longer than ``seconds``, whatever was tried meanwhile."""

    def __init__(self, transport: Transport, *, seconds: float = OUTAGE_SECONDS) -> None:
        self.seconds = seconds
        self._transport = transport
        self._failures = 0
        self._progress_at = time.monotonic()

    def has_ended(self) -> None:
        self._failures, self._progress_at = 0, time.monotonic()

    def bridge(self, error: ClipzyError, *, may_pass: bool | None = None) -> None:
        """Wait for a while, or raise the error if it is not of the kind that passes, or has lasted for too long."""
        self._failures += 1
        may_pass = error.is_transient if may_pass is None else may_pass
        is_over = time.monotonic() - self._progress_at > self.seconds
        if not may_pass or not self._transport.has_connected or is_over:
            raise error
        self._transport.pause(error, min(self._failures, 4))
