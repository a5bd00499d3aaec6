"""A proxy in front of a server that does to TCP connections what networks do, on demand."""

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import termios
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, Self
from urllib.parse import urlsplit

CHUNK_BYTES = 16 << 10
BUFFER_BYTES = 64 << 10
Kind = Literal["pass", "refuse", "silence", "reset", "cut", "leave", "flip", "delay"]
Way = Literal["request", "answer"]


@dataclass(frozen=True)
class Fault:
    """What happens to a connection once ``after_bytes`` of it have passed in the direction ``of``.

    ``silence``: nothing is forwarded any more, either way. ``reset``: reset (RST). ``cut``: closed properly (FIN).
    ``leave``: reset for the client, while the server hears nothing any more, as if the client had changed its network.
    ``flip``: one bit is inverted. ``delay``: each chunk arrives ``seconds`` late. ``refuse``: the port is closed.
    """

    kind: Kind = "pass"
    of: Way = "answer"
    after_bytes: int = 0
    seconds: float = 0.0
    connections: int | None = None
    """How many connections suffer it, before those that do not; None: all."""

    def __str__(self) -> str:
        return f"{self.kind}-{self.of}-{self.after_bytes}-{self.connections or 'all'}"


class TcpProxy:
    """Listens on loopback and forwards everything to ``target``, the URL of a server, until a method changes that.

    A context manager; its methods may be called from any thread.
    """

    def __init__(self, target: str, *, host: str = "127.0.0.1") -> None:
        parts = urlsplit(target)
        self._target = str(parts.hostname), int(parts.port or 80)
        self._host, self._port = host, 0
        self._fault, self._left = Fault(), 0
        self._passages: set[Passage] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)
        self.accepted = 0
        self.received_bytes = 0
        """All that clients have sent and that was forwarded."""

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def suffer(self, fault: Fault) -> None:
        """Have new connections suffer it. Present ones are closed, so that clients connect again."""
        self._do(self._change(fault))

    def heal(self) -> None:
        self.suffer(Fault())

    def fall_silent(self) -> None:
        """Forward nothing any more, neither on present connections nor on new ones, without closing any."""
        self._do(self._silence())

    def deafen_present(self) -> None:
        """Forward nothing any more on present connections, without closing any; new ones work as before."""
        self._do(self._silence_present())

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    async def _listen(self) -> None:
        listener = socket.create_server((self._host, self._port))
        listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES
        )  # so that a sender notices a slow connection
        self._server = await asyncio.start_server(self._pass_on, sock=listener)
        self._port = listener.getsockname()[1]

    async def _change(self, fault: Fault) -> None:
        self._fault, self._left = fault, -1 if fault.connections is None else fault.connections
        for passage in self._passages:
            passage.end()
        if fault.kind == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
        elif fault.kind != "refuse" and self._server is None:
            await self._listen()

    async def _silence(self) -> None:
        self._fault, self._left = Fault("silence"), -1
        await self._silence_present()

    async def _silence_present(self) -> None:
        for passage in self._passages:
            passage.is_silent = True

    async def _close(self) -> None:
        await self._change(Fault("refuse"))
        while self._passages:
            await asyncio.sleep(0.01)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        passage = Passage(self._next_fault(), reader, writer, count=self._count, when_suffered=self._has_suffered)
        self._passages.add(passage)
        try:
            with contextlib.suppress(OSError):
                await passage.run(*self._next_target())
        finally:
            self._passages.discard(passage)

    def _next_fault(self) -> Fault:
        """What the next connection suffers."""
        suffers = self._left != 0
        self._left -= suffers
        return self._fault if suffers else Fault()

    def _next_target(self) -> tuple[str, int]:
        """Where the next connection is forwarded to."""
        return self._target

    def _has_suffered(self) -> None:
        """Called as soon as as much of a connection has passed as its fault waits for."""

    def _count(self, way: str, size_bytes: int) -> None:
        self.received_bytes += size_bytes if way == "request" else 0


class Passage:
    """One connection, forwarded both ways until either side closes it."""

    def __init__(
        self,
        fault: Fault,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        count: Callable[[str, int], None],
        when_suffered: Callable[[], None],
    ) -> None:
        self.is_silent = False
        self._has_suffered = False
        self._count, self._when_suffered = count, when_suffered
        self._fault = fault
        self._reader, self._writer = reader, writer
        self._over = asyncio.Event()

    async def run(self, host: str, port: int) -> None:
        try:
            answers, requests = await asyncio.open_connection(host, port)
            pumps = (self._pump("request", self._reader, requests), self._pump("answer", answers, self._writer))
            tasks = [asyncio.ensure_future(pump) for pump in (*pumps, self._over.wait())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            requests.transport.abort()
        finally:
            self._writer.close()

    def end(self) -> None:
        self._over.set()

    async def _pump(self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed_bytes = 0
        while data := await reader.read(CHUNK_BYTES):
            data = await self._harmed(direction, data, passed_bytes)
            writer.write(data)
            await writer.drain()
            self._count(direction, len(data))
            passed_bytes += len(data)
            if self._fault.kind == "cut" and direction == self._fault.of and passed_bytes >= self._fault.after_bytes:
                return

    async def _harmed(self, direction: str, data: bytes, passed_bytes: int) -> bytes:
        fault, rest_bytes = self._fault, self._fault.after_bytes - passed_bytes
        if fault.kind == "silence" and direction == fault.of and rest_bytes <= 0:
            self.is_silent = True
        if self.is_silent:
            await asyncio.Event().wait()
        if direction != fault.of or rest_bytes >= len(data):
            return data
        if not self._has_suffered:
            self._has_suffered = True
            self._when_suffered()
        match fault.kind:
            case "delay":
                await asyncio.sleep(fault.seconds)
            case "silence" | "cut":
                return data[: max(0, rest_bytes)]
            case "flip" if rest_bytes >= 0:
                return data[:rest_bytes] + bytes([data[rest_bytes] ^ 1]) + data[rest_bytes + 1 :]
            case "reset":
                await self._break_off(data[: max(0, rest_bytes)] if direction == "answer" else b"")
                raise ConnectionResetError
            case "leave":
                await self._break_off(b"")
                await asyncio.Event().wait()
        return data

    async def _break_off(self, last: bytes) -> None:
        """Let the data before it arrive, which a reset would otherwise discard."""
        connection = self._writer.get_extra_info("socket")
        self._writer.write(last)
        while self._writer.transport.get_write_buffer_size() or _unsent_bytes(connection):
            await asyncio.sleep(0.001)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


def _unsent_bytes(connection: socket.socket) -> int:
    return int.from_bytes(fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
