"""One request to a URL that a client has named, connected to vetted addresses only, as are the redirects of a GET.

The proxies of the environment are not used: they would connect to what was not vetted.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress

from clipzy_storage.errors import ServerUnreachable, UrlRefused
from clipzy_storage.outbound.addresses import AddressPolicy
from clipzy_storage.outbound.target_url import TargetUrl

MAX_REDIRECTS = 5
TOO_LATE = "the server did not answer in time"
CONNECT_TIMEOUT_SECONDS = 10.0
_GIVEN_UP = "the request was given up"
_REDIRECTS = (301, 302, 303, 307, 308)


class OutboundRequest:
    """A ``GET``, and the redirects that it leads to; or with a ``body`` a ``POST``, whose redirects are not followed.

    ``open`` and ``read1`` are for one thread; ``abort`` has them fail from any other.
    """

    def __init__(
        self,
        url: TargetUrl,
        policy: AddressPolicy,
        *,
        headers: Mapping[str, str],
        read_timeout_seconds: float,
        total_timeout_seconds: float | None = None,
        body: bytes | None = None,
    ) -> None:
        """``read_timeout_seconds`` is for each wait, ``total_timeout_seconds`` for all from ``open`` on."""
        self._url = url
        self._body = body
        self._total_timeout_seconds = total_timeout_seconds
        self._give_up_at: float | None = None
        self._timer: threading.Timer | None = None
        self._policy = policy
        self._headers = {"User-Agent": "Clipzy", "Accept": "*/*", "Accept-Encoding": "identity", **headers}
        self._read_timeout_seconds = read_timeout_seconds
        self._lookup: Future[list[str]] = Future()
        self._socket: socket.socket | None = None
        self._response: http.client.HTTPResponse | None = None
        self._is_aborted = False

    def open(self) -> http.client.HTTPResponse:
        """The answer, its body unread; no redirect unless this is a ``POST``.

        Raises ``UrlRefused``, ``ServerUnreachable``.
        """
        if self._total_timeout_seconds is not None:
            self._give_up_at = time.monotonic() + self._total_timeout_seconds
            self._timer = threading.Timer(self._total_timeout_seconds, self.abort)
            self._timer.daemon = True
            self._timer.start()
        try:
            return self._followed(self._url)
        except BaseException:
            self.close()
            raise

    def _followed(self, url: TargetUrl) -> http.client.HTTPResponse:
        for _ in range(MAX_REDIRECTS + 1):
            self._response = self._send(url)
            if self._body is not None or self._response.status not in _REDIRECTS:
                return self._response
            url = url.joined(self._response.headers.get("Location") or "")
            self._disconnect()
        raise UrlRefused(f"it redirects more than {MAX_REDIRECTS} times")

    def read1(self, size_bytes: int) -> bytes:
        """What has arrived of the body, at most so much; none at its end. Raises ``ServerUnreachable``."""
        with self._translated():
            return self._response.read1(size_bytes) if self._response else b""

    def abort(self) -> None:
        """Have a call that waits for the server return, and the next one fail. Raises nothing."""
        self._is_aborted = True
        with suppress(InvalidStateError):  # it has ended
            self._lookup.set_exception(OSError(_GIVEN_UP))
        if opened := self._socket:
            with suppress(OSError):
                socket.socket.shutdown(opened, socket.SHUT_RDWR)  # not the one of TLS, which is for its own thread

    def close(self) -> None:
        """Raises nothing."""
        if self._timer:
            self._timer.cancel()
        self._disconnect()

    def _disconnect(self) -> None:
        for opened in (self._response, self._socket):
            with suppress(OSError):
                if opened is not None:
                    opened.close()

    def _send(self, url: TargetUrl) -> http.client.HTTPResponse:
        """Over a connection to one of the vetted addresses, whatever the name of the host resolves to by then."""
        with self._translated():
            opened = self._connected(url, self._addresses_of(url))
            opened.settimeout(self._read_timeout_seconds)
            connection = http.client.HTTPConnection(url.host, url.port)
            connection.sock = opened
            connection.auto_open = 0  # never by the name
            method, headers = "GET" if self._body is None else "POST", {"Host": url.host_header, **self._headers}
            connection.request(method, url.target, body=self._body, headers=headers)
            response = connection.getresponse()
            self._check_aborted()  # which may have cut its head
            return response

    def _addresses_of(self, url: TargetUrl) -> list[str]:
        """Looked up by another thread: nothing ends a lookup, but who waits for it can be told not to."""
        lookup = self._lookup = Future()
        self._check_aborted()

        def look_up() -> None:
            with suppress(InvalidStateError):  # it was given up
                try:
                    lookup.set_result(self._policy.addresses_of(url.host, url.port))
                except Exception as error:  # noqa: BLE001 - who waits for the lookup raises it
                    lookup.set_exception(error)

        threading.Thread(target=look_up, name="lookup", daemon=True).start()
        return lookup.result()

    def _connected(self, url: TargetUrl, addresses: list[str]) -> socket.socket:
        """Raises ``OSError``."""
        opened = self._socket = self._first_answering(addresses, url.port)
        if url.scheme == "https":
            context = ssl.create_default_context()
            # The handshake comes after, so that ``abort`` finds the socket during it, too.
            opened = wrapped = context.wrap_socket(opened, server_hostname=url.host, do_handshake_on_connect=False)
            self._socket = wrapped
            self._check_aborted()
            wrapped.do_handshake()
        self._check_aborted()
        return opened

    def _first_answering(self, addresses: list[str], port: int) -> socket.socket:
        failure: OSError | None = None
        for address in addresses:
            self._check_aborted()
            try:
                return socket.create_connection((address, port), timeout=self._connect_timeout_seconds())
            except OSError as error:
                failure = error
        raise failure or OSError("the host has no address")

    def _connect_timeout_seconds(self) -> float:
        if self._give_up_at is None:
            return CONNECT_TIMEOUT_SECONDS
        return max(min(CONNECT_TIMEOUT_SECONDS, self._give_up_at - time.monotonic()), 0.001)

    def _check_aborted(self) -> None:
        if self._is_aborted:
            raise OSError(_GIVEN_UP)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors without a text of the server's, or one that repeats the URL."""
        try:
            yield
        except ssl.SSLCertVerificationError:
            raise UrlRefused("the certificate of its host is not valid") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            is_late = isinstance(error, TimeoutError) or (self._give_up_at and time.monotonic() >= self._give_up_at)
            raise ServerUnreachable(TOO_LATE if is_late else "the connection to the server failed or broke") from None
