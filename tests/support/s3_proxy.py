"""A proxy in front of an S3 server, which denies, answers or loses the operations that it has rules for."""

import contextlib
import http.client
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

_BY_ID = {"GET": "ListParts", "PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}
_ON_OBJECT = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
_OWN_HEADERS = {"connection", "date", "server", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Rule:
    """What happens to a request: the proxy responds; or, with ``lost``, the server's response never arrives.

    Without a ``code`` the response is that of a web server that does not support S3.
    """

    status: int = 403
    code: str = "AccessDenied"
    lost: bool = False
    only: Literal["conditional", "any"] = "any"
    times: int = 1_000_000
    """How many requests it applies to."""


@dataclass(frozen=True)
class Request:
    """A request as the proxy received it."""

    operation: str
    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def access_key(self) -> str:
        return self.headers["Authorization"].partition("Credential=")[2].partition("/")[0]


class S3Proxy:
    """A server on loopback that forwards S3 requests to ``target``, the URL of a server. A context manager."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target).netloc
        self.rules: dict[str, Rule] = {}
        """By operation."""
        self.after: dict[str, Callable[[], object]] = {}
        """By operation: what happens once the server has responded, before the client gets the response."""
        self.date: str | None = None
        """The ``Date`` header of responses; None for the present time, empty for a service that reports none."""
        self.seen: list[Request] = []
        self._applied: dict[str, int] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def set_rule(self, operation: str, rule: Rule) -> None:
        """Replace all rules by this one, whose ``times`` begin to count."""
        self._applied.clear()
        self.rules = {operation: rule}

    def operations(self) -> set[str]:
        """All that the proxy has received."""
        return {request.operation for request in self.seen}

    def verdict(self, request: Request) -> Rule | None:
        """The rule that applies to the request, if any."""
        rule = self.rules.get(request.operation)
        if rule is None or (rule.only == "conditional" and "If-None-Match" not in request.headers):
            return None
        count = self._applied[request.operation] = self._applied.get(request.operation, 0) + 1
        return rule if count <= rule.times else None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def operation_of(method: str, path: str) -> str:
    query = parse_qs(urlsplit(path).query, keep_blank_values=True)
    if "uploadId" in query:
        return _BY_ID[method]
    if "uploads" in query:
        return "ListMultipartUploads" if method == "GET" else "CreateMultipartUpload"
    return "ListObjectsV2" if "list-type" in query else _ON_OBJECT[method]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: S3Proxy

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = "CopyObject" if "x-amz-copy-source" in self.headers else operation_of(self.command, self.path)
        request = Request(operation, self.path, dict(self.headers.items()), body)
        self.proxy.seen.append(request)
        rule = self.proxy.verdict(request)
        if rule is not None and not rule.lost:
            text = f"<?xml version='1.0'?><Error><Code>{rule.code}</Code><Message>no</Message></Error>"
            self._answer(rule.status, [], text.encode() if rule.code else b"<html>no</html>")
            return
        status, headers, content = self._forward(body)
        self.proxy.after.get(operation, lambda: None)()
        if rule is None:
            self._answer(status, headers, content)
        else:
            self.close_connection = True

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(timestamp) if self.proxy.date is None else self.proxy.date

    def log_message(self, *_: Any) -> None:
        pass

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        with contextlib.closing(http.client.HTTPConnection(self.proxy.target, timeout=60)) as server:
            server.request(self.command, self.path, body=body or None, headers=headers)
            answer = server.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        lengths = [value for name, value in headers if name.lower() == "content-length" and self.command == "HEAD"]
        for name, value in headers:
            if name.lower() not in _OWN_HEADERS:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", lengths[0] if lengths else str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
