"""HTTP with one front end: a request, its answer or an error, and which requests are sent again."""

import json
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import unquote

import urllib3
from pydantic import BaseModel, ValidationError
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout, make_headers, parse_url

from clipzy_api.client.connections import Connections, UploadConnections, cause_of, was_connected
from clipzy_api.client.errors import TRANSIENT_STATUSES, ClipzyError, FrontEndUnreachable, UnexpectedAnswer
from clipzy_storage.config.urls import redacted

CONNECT_TIMEOUT_SECONDS = 30.0
UPLOAD_ANSWER_TIMEOUT_SECONDS = 600.0  # the front end hashes and flushes the file before it answers
MIN_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 120.0
"""A front end that asks to wait for longer is not asked again."""

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")

Body = TypeVar("Body", bound=BaseModel)
T = TypeVar("T")
OnRetry = Callable[[ClipzyError, float], None]


@dataclass(frozen=True)
class Request:
    """One request that may be sent more than once: by its method, or by an Idempotency-Key among its headers."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] | None = None
    """If it is not bytes: anew in every iteration, with its ``Content-Length`` among the headers."""
    transient_statuses: frozenset[int] = TRANSIENT_STATUSES
    done_if_repeated: int | None = None
    """The status that tells a repeated request that the first one was carried out."""

    @classmethod
    def with_json(cls, path: str, content: Mapping[str, Any], *, headers: Mapping[str, str]) -> "Request":
        body = json.dumps(content, allow_nan=False).encode()
        return cls("POST", path, {**headers, "Content-Type": "application/json"}, body)


@dataclass(frozen=True)
class Answer:
    """What a server answered to one request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after_seconds(self) -> float | None:
        """How long the server asks to wait; None if it does not, or not in a readable way."""
        text = self.headers.get("Retry-After", "")
        if _SECONDS.fullmatch(text):
            return max(float(text), MIN_PAUSE_SECONDS)
        try:
            return max(parsedate_to_datetime(text).timestamp() - time.time(), MIN_PAUSE_SECONDS)
        except ValueError:
            return None


class Transport:
    """Requests to the front end at ``url``, with ``api_key``. Safe to be used by several threads."""

    def __init__(
        self, url: str, *, api_key: str | None, timeout_seconds: float, attempts: int, on_retry: OnRetry | None
    ) -> None:
        self.url = url.rstrip("/")
        self.is_encrypted = parse_url(url).scheme == "https"
        self.attempts = attempts
        self._on_retry = on_retry
        self._login = _login(url, api_key)
        self._timeout = Timeout(connect=min(timeout_seconds, CONNECT_TIMEOUT_SECONDS), read=timeout_seconds)
        self._connections = Connections()
        self.has_connected = False
        """Whether a server has ever been there; before that, a failure is reported and not waited for."""

    def close(self) -> None:
        self._connections.close()

    def call(self, request: Request) -> Answer:
        """The answer of a request that was carried out, sent again where that may help. Raises ``ClipzyError``."""
        return self.repeated(
            lambda is_repeated: self.send(request, is_repeated=is_repeated),
            transient_statuses=request.transient_statuses,
        )

    def repeated(self, attempt: Callable[[bool], T], *, transient_statuses: frozenset[int] = TRANSIENT_STATUSES) -> T:
        """What ``attempt`` returns, which is told whether it was called before, and is called again a few times.

        Raises ``ClipzyError`` of the last attempt.
        """
        for number in range(1, self.attempts + 1):
            try:
                return attempt(number > 1)
            except ClipzyError as error:
                is_transient = error.is_transient and error.status in (None, *transient_statuses)
                if not is_transient or not self.has_connected or number == self.attempts:
                    raise
                self.pause(error, number)
        raise AssertionError("the last attempt returns or raises")

    def send(self, request: Request, *, is_repeated: bool = False) -> Answer:
        """The same, sent once."""
        answer = self._answer_to(request)
        if answer.status < 300 or answer.status == 304 or (is_repeated and answer.status == request.done_if_repeated):
            return answer
        raise refusal(answer, to_head=request.method == "HEAD")

    def put_link(self, url: str, body: Iterable[bytes], *, size_bytes: int, pool: urllib3.PoolManager) -> Answer:
        """The answer, whatever its status, of another server, which must not see the API key.

        Raises ``FrontEndUnreachable``.
        """
        timeout = Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=UPLOAD_ANSWER_TIMEOUT_SECONDS)
        headers = {"Content-Length": str(size_bytes)}
        response = self._urlopen("PUT", url, headers, pool=pool, body=body, timeout=timeout)
        return Answer(response.status, response.headers, response.data)

    def stream(self, path: str, headers: Mapping[str, str], *, timeout_seconds: float) -> urllib3.BaseHTTPResponse:
        """The answer to a GET, whatever its status, whose body is not read yet. Raises ``FrontEndUnreachable``."""
        timeout = Timeout(connect=self._timeout.connect_timeout, read=timeout_seconds)
        return self._urlopen("GET", self.url + path, {**self._login, **headers}, timeout=timeout, preload_content=False)

    def stream_link(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """The same from another server, which must not see the API key."""
        return self._urlopen("GET", url, headers, preload_content=False)

    def pause(self, error: ClipzyError, attempt: int) -> None:
        """Wait before the next attempt. Raises the error if the front end asks to wait for longer than it is worth."""
        seconds = error.retry_after_seconds
        if seconds is None:
            seconds = min(2.0 ** (attempt - 1), MAX_PAUSE_SECONDS) * random.uniform(0.5, 1)
        if seconds > MAX_PAUSE_SECONDS:
            raise error
        if self._on_retry:
            self._on_retry(error, seconds)
        time.sleep(seconds)

    def _answer_to(self, request: Request) -> Answer:
        url, headers = self.url + request.path, {**self._login, **request.headers}
        if request.body is None or isinstance(request.body, bytes):
            response = self._urlopen(request.method, url, headers, body=request.body)
        else:
            timeout = Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=UPLOAD_ANSWER_TIMEOUT_SECONDS)
            with closing(UploadConnections()) as connections:
                options = {"body": request.body, "timeout": timeout}
                response = self._urlopen(request.method, url, headers, pool=connections.to(url), **options)
        return Answer(response.status, response.headers, response.data)

    def _urlopen(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        pool: urllib3.PoolManager | None = None,
        **options: Any,
    ) -> urllib3.BaseHTTPResponse:
        sent, options = {"User-Agent": "clipzy", **headers}, {"timeout": self._timeout, **options}
        try:
            pool = pool or self._connections.to(url)
            response = pool.urlopen(method, url, headers=sent, redirect=False, **options)
        except HTTPError as error:
            self.has_connected |= was_connected(error)
            raise unreachable(url, error) from error
        self.has_connected = True
        return response


def unreachable(url: str, error: HTTPError) -> FrontEndUnreachable:
    parts = parse_url(url)
    base = f"{parts.scheme}://{parts.netloc}"
    return FrontEndUnreachable(redacted(base), cause_of(error), is_connected=was_connected(error))


def refusal(answer: Answer, *, to_head: bool = False) -> ClipzyError:
    """The error that an answer is. ``to_head``: it cannot have a body, which would tell more."""
    if to_head:
        return ClipzyError(
            f"The front end answered with status {answer.status}.",
            status=answer.status,
            request_id=answer.headers.get("X-Request-ID"),
            retry_after_seconds=answer.retry_after_seconds,
        )
    problem = _problem_in(answer)
    if "code" not in problem:
        target = answer.headers.get("Location")
        how = f"status {answer.status}" + (f", a redirect to {redacted(target)}" if target else "")
        return UnexpectedAnswer(
            f"the server answered with {how}, but not as Clipzy does. Set the address to that of the front end.",
            status=answer.status,
            retry_after_seconds=answer.retry_after_seconds,
        )
    return ClipzyError(
        str(problem.get("detail") or problem.get("title") or "No reason was given."),
        code=str(problem["code"]),
        status=answer.status,
        field=problem.get("field"),
        limit=problem.get("limit"),
        request_id=problem.get("request_id") or answer.headers.get("X-Request-ID"),
        retry_after_seconds=answer.retry_after_seconds,
    )


def parsed(model: type[Body], answer: Answer) -> Body:
    """The body as one of the models that answers are made with. What a later version has added to them is ignored.

    Raises ``UnexpectedAnswer``.
    """
    try:
        return model.model_validate_json(answer.body, extra="ignore")
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(map(str, fault["loc"]))
    reason = f"{place}: {fault['msg']}" if place else fault["msg"]
    raise UnexpectedAnswer(
        f"the answer is not a {model.__name__} as Clipzy sends it ({reason})."
        " Set the address to that of the front end.",
        status=answer.status,
    )


def _problem_in(answer: Answer) -> dict[str, Any]:
    try:
        problem = json.loads(answer.body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _login(url: str, api_key: str | None) -> dict[str, str]:
    """The API key, or the user and password of a proxy that are in the URL."""
    if api_key:
        return {"Authorization": f"Bearer {api_key}"}
    login = parse_url(url).auth
    return {"Authorization": make_headers(basic_auth=unquote(login))["authorization"]} if login else {}
