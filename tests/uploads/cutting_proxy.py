"""One address for several front ends, on the way to which connections are cut."""

from collections.abc import Sequence
from itertools import cycle
from random import Random
from urllib.parse import urlsplit

from tests.support.tcp_proxy import Fault, Kind, TcpProxy, Way

CUTS: tuple[Kind, ...] = ("cut", "reset")
ANSWER_BYTES = 600
"""About as many as an answer has."""


class CuttingProxy(TcpProxy):
    """Front ends take turns, connection by connection. Connections are cut at random places, ``cuts`` in all.

    One in ten is cut in an answer, and each other after up to ``most_bytes`` of what is sent. Instead of that, each can
    be left by its client without a word to the front end.
    """

    def __init__(self, urls: Sequence[str], *, cuts: int, most_bytes: int, random: Random, leave: bool = False) -> None:
        super().__init__(urls[0])
        self._turns = cycle([(str(parts.hostname), int(parts.port or 80)) for parts in map(urlsplit, urls)])
        self._most_bytes = most_bytes
        self._random = random
        self._leave = leave
        self.cuts_left = cuts

    def _next_fault(self) -> Fault:
        if self.cuts_left <= 0:
            return Fault()
        if self._leave:
            return Fault("leave", "request", self._random.randrange(self._most_bytes))
        way: Way = "answer" if self._random.randrange(10) == 0 else "request"
        most_bytes = ANSWER_BYTES if way == "answer" else self._most_bytes
        return Fault(self._random.choice(CUTS), way, self._random.randrange(most_bytes))

    def _next_target(self) -> tuple[str, int]:
        return next(self._turns)

    def _has_suffered(self) -> None:
        self.cuts_left -= 1
