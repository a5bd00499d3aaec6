"""A certificate for loopback that nobody trusts unless told to, and a server that presents it."""

import contextlib
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.requirements import missing


@dataclass(frozen=True)
class Certificate:
    """PEM files of a certificate and its key."""

    path: Path
    key: Path

    def encrypted_key(self) -> Path:
        """A PEM file of the same key, which needs a passphrase."""
        path = self.key.with_name("encrypted.pem")
        command = ["openssl", "pkey", "-aes256", "-passout", "pass:secret", "-in", str(self.key), "-out", str(path)]
        subprocess.run(command, check=True, capture_output=True)
        return path

    @contextlib.contextmanager
    def in_front_of(self, host: str, port: int) -> Iterator[int]:
        """The port of a server on loopback that speaks TLS and passes everything on to this one, which does not."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.key)
        handler = type("Handler", (_Passage,), {"context": context, "target": (host, port)})
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
            server.daemon_threads, server.block_on_close = True, False
            thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
            thread.start()
            yield server.server_address[1]
            server.shutdown()
            thread.join()


class _Passage(socketserver.BaseRequestHandler):
    context: ssl.SSLContext
    target: tuple[str, int]

    def handle(self) -> None:
        with (
            contextlib.suppress(OSError),
            self.context.wrap_socket(self.request, server_side=True) as client,
            socket.create_connection(self.target) as server,
        ):
            answers = threading.Thread(target=_pump, args=[server, client], daemon=True)
            answers.start()
            _pump(client, server)
            answers.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def make_certificate(directory: Path) -> Certificate:
    path, key = directory / "certificate.pem", directory / "key.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", *names, "-days", "2", "-nodes", "-newkey", "rsa:2048"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", path], check=True, capture_output=True)
    except FileNotFoundError:
        missing("openssl")
    return Certificate(path, key)
