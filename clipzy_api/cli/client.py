"""The front end, as the commands that call its API see it."""

import http.client
import json
import select
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import click

from clipzy_api.cli.upload_form import FileForm
from clipzy_storage.config.urls import redacted

ANSWER_TIMEOUT_SECONDS = 30
UPLOAD_ANSWER_TIMEOUT_SECONDS = 600  # the front end hashes and flushes the file before it answers
UPLOAD_ATTEMPTS = 5
OUTAGE_SECONDS = 120
DEFAULT_PAUSE_SECONDS = 1.0
MIN_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 30.0
TRANSIENT_STATUSES = frozenset({429, 500, 502, 503, 504})
# A large file is not sent again for an error that may be permanent.
UPLOAD_TRANSIENT_STATUSES = TRANSIENT_STATUSES - {500}

Job = dict[str, Any]


class FrontEndUnavailable(Exception):
    """No answer, or one that asks for another request after ``pause_seconds``.

    ``is_connected`` is false if not even a connection could be opened.
    """

    def __init__(self, cause: str, *, pause_seconds: float = DEFAULT_PAUSE_SECONDS, is_connected: bool = True) -> None:
        super().__init__(cause)
        self.pause_seconds = pause_seconds
        self.is_connected = is_connected


@dataclass(frozen=True)
class Answer:
    """What a server answered to one request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def pause_seconds(self) -> float:
        """How long the server asks to wait; a date, or no header, counts as a second."""
        try:
            seconds = float(self.headers.get("Retry-After", DEFAULT_PAUSE_SECONDS))
        except ValueError:
            return DEFAULT_PAUSE_SECONDS
        return min(max(seconds, MIN_PAUSE_SECONDS), MAX_PAUSE_SECONDS)

    def json(self) -> dict[str, Any]:
        """The JSON object in the body; empty if there is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


class FrontEnd:
    """One front end by its base URL. Its methods raise ``click.ClickException`` with a message of one line."""

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    def absolute(self, link: str) -> str:
        """A link in an answer as an absolute URL."""
        return urljoin(f"{self._url}/", link)

    def submit(self, form: FileForm) -> Job:
        """Upload the file of the form as a new job, and return the job.

        If the answer is lost or asks for another request, the file is sent again, at most ``UPLOAD_ATTEMPTS`` times in
        all. Its Idempotency-Key prevents a second job.
        """
        was_connected = False
        for attempts_left in reversed(range(UPLOAD_ATTEMPTS)):
            try:
                answer = self._upload(form)
            except FrontEndUnavailable as error:
                was_connected = was_connected or error.is_connected
                if not (was_connected and attempts_left):
                    raise self._unreachable(error) from error
                pause_seconds = error.pause_seconds
            else:
                if answer.status not in UPLOAD_TRANSIENT_STATUSES or not attempts_left:
                    break
                was_connected, pause_seconds = True, answer.pause_seconds
            time.sleep(pause_seconds)
        return self._job_in(answer)

    def follow(self, job: Job, *, on_change: Callable[[Job], None], pause_seconds: float | None = None) -> Job:
        """Poll until the job is finished, and return it. Bridges outages of up to ``OUTAGE_SECONDS``.

        Polls as often as the front end asks for, or every ``pause_seconds``.
        """
        etag, answered_at = None, time.monotonic()
        while job["finished_at"] is None:
            try:
                answer = self._poll(job["job_id"], etag)
            except FrontEndUnavailable as error:
                if time.monotonic() - answered_at > OUTAGE_SECONDS:
                    raise self._unreachable(error) from error
                time.sleep(error.pause_seconds)
                continue
            etag, answered_at = answer.headers.get("ETag", etag), time.monotonic()
            if answer.status != 304:
                job = self._job_in(answer)
                on_change(job)
            if job["finished_at"] is None:
                time.sleep(pause_seconds or answer.pause_seconds)
        return job

    def result(self, job_id: str) -> dict[str, Any]:
        """The ``output.json`` of a completed job."""
        return self._json(f"/api/v1/jobs/{quote(job_id, safe='')}/result")

    def json_file(self, job_id: str, name: str) -> dict[str, Any]:
        """One of the job's JSON artifacts."""
        return self._json(f"/api/v1/jobs/{quote(job_id, safe='')}/files/{name}")

    def _upload(self, form: FileForm) -> Answer:
        headers = self._headers | {
            "Content-Type": form.content_type,
            "Content-Length": str(len(form)),
            "Idempotency-Key": form.key,
        }
        url = f"{self._url}/api/v1/jobs"
        return _request("POST", url, headers, timeout_seconds=UPLOAD_ANSWER_TIMEOUT_SECONDS, body=form)

    def _poll(self, job_id: str, etag: str | None) -> Answer:
        headers = self._headers | ({"If-None-Match": etag} if etag else {})
        answer = _request("GET", f"{self._url}/api/v1/jobs/{job_id}", headers)
        if answer.status in TRANSIENT_STATUSES:
            raise FrontEndUnavailable(f"status {answer.status}", pause_seconds=answer.pause_seconds)
        return answer

    def _json(self, path: str) -> dict[str, Any]:
        try:
            answer = _request("GET", self._url + path, self._headers)
        except FrontEndUnavailable as error:
            raise self._unreachable(error) from error
        if answer.status == 302:
            return _fetched(self.absolute(answer.headers["Location"]))
        if answer.status != 200:
            raise self._refused(answer)
        return answer.json()

    def _job_in(self, answer: Answer) -> Job:
        job = answer.json()
        if answer.status not in (200, 202) or "job_id" not in job:
            raise self._refused(answer)
        return job

    def _refused(self, answer: Answer) -> click.ClickException:
        problem, url = answer.json(), redacted(self._url)
        if "code" in problem:
            detail = problem.get("detail") or problem.get("title")
            if answer.status == 401:
                detail = f"{detail} Set CLIPZY_API_KEY to a key that is valid."
            return click.ClickException(f"{problem['code']}: {detail} (CLIPZY_URL={url})")
        return click.ClickException(
            f"CLIPZY_URL={url} answered with status {answer.status}, but not as Clipzy does."
            " Set it to the address of the front end."
        )

    def _unreachable(self, error: FrontEndUnavailable) -> click.ClickException:
        return click.ClickException(
            f"no front end can be reached at CLIPZY_URL={redacted(self._url)} ({error})."
            " Start one with `clipzy up`, or set CLIPZY_URL."
        )


def _request(
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    *,
    timeout_seconds: float = ANSWER_TIMEOUT_SECONDS,
    body: Iterable[bytes] = (),
) -> Answer:
    """The answer, whatever its status; redirects are not followed. Raises ``FrontEndUnavailable``."""
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=timeout_seconds)
    is_connected = False
    try:
        connection.connect()
        is_connected = True
        connection.putrequest(method, urlunsplit(("", "", *parts[2:])))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        _send_until_answered(connection, body)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "strerror", None) or type(error).__name__
        raise FrontEndUnavailable(cause, is_connected=is_connected) from error
    finally:
        connection.close()


def _send_until_answered(connection: http.client.HTTPConnection, body: Iterable[bytes]) -> None:
    """Send the body; stop when the server answers early or closes the connection, since it then reads no more."""
    try:
        for block in body:
            if _has_answered(connection):
                return
            connection.send(block)
    except (BrokenPipeError, ConnectionResetError):
        return  # the answer, if there is one, gives the reason


def _has_answered(connection: http.client.HTTPConnection) -> bool:
    # An encrypted connection is also readable without an answer.
    if isinstance(connection, http.client.HTTPSConnection):
        return False
    return bool(select.select([connection.sock], [], [], 0)[0])


def _fetched(link: str) -> dict[str, Any]:
    """The JSON object at a link to storage. Raises ``click.ClickException``."""
    try:
        with urllib.request.urlopen(link, timeout=ANSWER_TIMEOUT_SECONDS) as response:
            return Answer(response.status, response.headers, response.read()).json()
    except OSError as error:
        cause = getattr(error, "reason", error)
        raise click.ClickException(f"the file cannot be fetched from storage at {redacted(link)}: {cause}.") from error
