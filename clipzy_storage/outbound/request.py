"""One request to a URL that a client has named, connected to vetted addresses only; its redirects are vetted alike.

The proxies of the environment are not used: they would connect to what was not vetted.
"""

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from clipzy_storage.errors import ServerUnreachable, UrlRefused
from clipzy_storage.outbound.addresses import AddressPolicy
from clipzy_storage.outbound.target_url import TargetUrl

MAX_REDIRECTS = 5
CONNECT_TIMEOUT_SECONDS = 10.0
_REDIRECTS = (301, 302, 303, 307, 308)


class OutboundRequest:
    """A ``GET``, and the redirects that it leads to.

    ``open`` and ``read1`` are for one thread; ``abort`` has them fail from any other.
    """

    def __init__(
        self, url: TargetUrl, policy: AddressPolicy, *, headers: Mapping[str, str], read_timeout_seconds: float
    ) -> None:
        self._url = url
        self._policy = policy
        self._headers = {"User-Agent": "Clipzy", "Accept": "*/*", "Accept-Encoding": "identity", **headers}
        self._read_timeout_seconds = read_timeout_seconds
        self._socket: socket.socket | None = None
        self._response: http.client.HTTPResponse | None = None
        self._is_aborted = False

    def open(self) -> http.client.HTTPResponse:
        """The answer that is no redirect, its body unread. Raises ``UrlRefused``, ``ServerUnreachable``."""
        try:
            return self._followed(self._url)
        except BaseException:
            self.close()
            raise

    def _followed(self, url: TargetUrl) -> http.client.HTTPResponse:
        for _ in range(MAX_REDIRECTS + 1):
            self._response = self._send(url)
            if self._response.status not in _REDIRECTS:
                return self._response
            url = url.joined(self._response.headers.get("Location") or "")
            self.close()
        raise UrlRefused(f"it redirects more than {MAX_REDIRECTS} times")

    def read1(self, size_bytes: int) -> bytes:
        """What has arrived of the body, at most so much; none at its end. Raises ``ServerUnreachable``."""
        with _translated():
            return self._response.read1(size_bytes) if self._response else b""

    def abort(self) -> None:
        """Have a call that waits for the server return, and the next one fail. Raises nothing."""
        self._is_aborted = True
        if opened := self._socket:
            with suppress(OSError):
                socket.socket.shutdown(opened, socket.SHUT_RDWR)  # not the one of TLS, which is for its own thread

    def close(self) -> None:
        """Raises nothing."""
        for opened in (self._response, self._socket):
            with suppress(OSError):
                if opened is not None:
                    opened.close()

    def _send(self, url: TargetUrl) -> http.client.HTTPResponse:
        """Over a connection to one of the vetted addresses, whatever the name of the host resolves to by then."""
        addresses = self._policy.addresses_of(url.host, url.port)
        with _translated():
            self._socket = _connected(url, self._first_answering(addresses, url.port))
            self._check_wanted()
            self._socket.settimeout(self._read_timeout_seconds)
            connection = http.client.HTTPConnection(url.host, url.port)
            connection.sock = self._socket
            connection.auto_open = 0  # never by the name
            connection.request("GET", url.target, headers={"Host": url.host_header, **self._headers})
            return connection.getresponse()

    def _first_answering(self, addresses: list[str], port: int) -> socket.socket:
        failure: OSError | None = None
        for address in addresses:
            self._check_wanted()
            try:
                return socket.create_connection((address, port), timeout=CONNECT_TIMEOUT_SECONDS)
            except OSError as error:
                failure = error
        raise failure or OSError("the host has no address")

    def _check_wanted(self) -> None:
        if self._is_aborted:
            raise ServerUnreachable("the request was given up")


def _connected(url: TargetUrl, opened: socket.socket) -> socket.socket:
    """Raises ``OSError``."""
    if url.scheme == "http":
        return opened
    try:
        return ssl.create_default_context().wrap_socket(opened, server_hostname=url.host)
    except BaseException:
        opened.close()
        raise


@contextmanager
def _translated() -> Iterator[None]:
    """Errors without a text of the server's, or one that repeats the URL."""
    try:
        yield
    except ssl.SSLCertVerificationError:
        raise UrlRefused("the certificate of its host is not valid") from None
    except TimeoutError:
        raise ServerUnreachable("the server did not answer in time") from None
    except (OSError, ValueError, http.client.HTTPException):
        raise ServerUnreachable("the connection to the server failed or broke") from None
