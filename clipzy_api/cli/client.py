"""The front end as the client commands see it."""

import http.client
import json
import select
import time
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import click

from clipzy_api.cli.upload_form import FileForm
from clipzy_storage.config.urls import redacted

ANSWER_SECONDS = 30
UPLOAD_ANSWER_SECONDS = 600  # the front end hashes and flushes before it answers
OUTAGE_SECONDS = 120
UPLOAD_TRIES = 5
PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})
UPLOAD_AGAIN_STATUSES = PASSING_STATUSES - {500}  # sending a large file again is not for what may never pass

Job = dict[str, Any]


class OutOfReach(Exception):
    """No answer came, or one that says to ask again in ``pause_seconds``; perhaps nobody was ``reached`` at all."""

    def __init__(self, cause: str, *, pause_seconds: float = PAUSE_SECONDS, reached: bool = True) -> None:
        super().__init__(cause)
        self.pause_seconds = pause_seconds
        self.reached = reached


@dataclass(frozen=True)
class Answer:
    """What the front end answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def pause_seconds(self) -> float:
        """How long it asks us to wait; a date or nothing at all counts as a second."""
        try:
            wanted_seconds = float(self.headers.get("Retry-After", PAUSE_SECONDS))
        except ValueError:
            return PAUSE_SECONDS
        return min(max(wanted_seconds, 0.1), LONGEST_PAUSE_SECONDS)

    def json(self) -> dict[str, Any]:
        """The JSON object in it, empty where there is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


class FrontEnd:
    """One front end by its base URL. Its methods raise ``click.ClickException`` with one clear line."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._parts = urlsplit(url)

    def absolute(self, link: str) -> str:
        """A link of a job as a person can follow it."""
        return urljoin(f"{self._url}/", link)

    def submit(self, form: FileForm) -> Job:
        """Upload the file of the form as a new job, and return the job.

        Where the answer is lost, or says to come again, the file is sent again, some times: under its key that makes
        no second job.
        """
        has_reached = False
        for tries_left in range(UPLOAD_TRIES - 1, -1, -1):
            try:
                answer = self._upload(form)
            except OutOfReach as error:
                has_reached = has_reached or error.reached
                if not (has_reached and tries_left):
                    raise self._nobody_there(error) from error
                pause_seconds = error.pause_seconds
            else:
                if answer.status not in UPLOAD_AGAIN_STATUSES or not tries_left:
                    break
                has_reached, pause_seconds = True, answer.pause_seconds
            time.sleep(pause_seconds)
        return self._job_of(answer)

    def _upload(self, form: FileForm) -> Answer:
        headers = {
            "Content-Type": form.content_type,
            "Content-Length": str(len(form)),
            "Idempotency-Key": form.key,
        }
        return self._ask("POST", "/api/v1/jobs", headers, timeout_seconds=UPLOAD_ANSWER_SECONDS, body=form)

    def follow(self, job: Job, *, on_change: Callable[[Job], None], pause_seconds: float | None = None) -> Job:
        """Ask until the job has ended, and return it as it ended. Bridges outages of up to two minutes.

        Asks as often as the front end says, or every ``pause_seconds``.
        """
        etag, reached_at = None, time.monotonic()
        while job["finished_at"] is None:
            try:
                answer = self._poll(job["job_id"], etag)
            except OutOfReach as error:
                if time.monotonic() - reached_at > OUTAGE_SECONDS:
                    raise self._nobody_there(error) from error
                time.sleep(error.pause_seconds)
                continue
            etag, reached_at = answer.headers.get("ETag", etag), time.monotonic()
            if answer.status != 304:
                job = self._job_of(answer)
                on_change(job)
            if job["finished_at"] is None:
                time.sleep(pause_seconds or answer.pause_seconds)
        return job

    def result(self, job_id: str) -> dict[str, Any]:
        """The ``output.json`` of a completed job."""
        return self._json(f"/api/v1/jobs/{quote(job_id, safe='')}/result")

    def json_file(self, job_id: str, name: str) -> dict[str, Any]:
        """One of its artifacts, wherever it lies."""
        return self._json(f"/api/v1/jobs/{quote(job_id, safe='')}/files/{name}")

    def _json(self, path: str) -> dict[str, Any]:
        try:
            answer = self._ask("GET", path, {}, timeout_seconds=ANSWER_SECONDS)
            found = _followed(answer.headers["Location"]) if answer.status == 302 else answer
        except OutOfReach as error:
            raise self._nobody_there(error) from error
        if found.status != 200:
            raise click.ClickException(self._refusal(found))
        return found.json()

    def _poll(self, job_id: str, etag: str | None) -> Answer:
        headers = {"If-None-Match": etag} if etag else {}
        answer = self._ask("GET", f"/api/v1/jobs/{job_id}", headers, timeout_seconds=ANSWER_SECONDS)
        if answer.status in PASSING_STATUSES:
            raise OutOfReach(f"status {answer.status}", pause_seconds=answer.pause_seconds)
        return answer

    def _ask(
        self, method: str, path: str, headers: dict[str, str], *, timeout_seconds: float, body: Iterable[bytes] = ()
    ) -> Answer:
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=timeout_seconds)
        reached = False
        try:
            connection.connect()
            reached = True
            connection.putrequest(method, self._parts.path + path)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            _send(connection, body)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "strerror", None) or type(error).__name__
            raise OutOfReach(cause, reached=reached) from error
        finally:
            connection.close()

    def _job_of(self, answer: Answer) -> Job:
        """The job in an answer."""
        job = answer.json()
        if answer.status not in (200, 202) or "job_id" not in job:
            raise click.ClickException(self._refusal(answer))
        return job

    def _refusal(self, answer: Answer) -> str:
        problem = answer.json()
        if "code" in problem:
            return (
                f"{problem['code']}: {problem.get('detail') or problem.get('title')} (CLIPZY_URL={redacted(self._url)})"
            )
        return (
            f"CLIPZY_URL={redacted(self._url)} answered with status {answer.status}, but not as Clipzy does."
            " Set it to the address of the front end."
        )

    def _nobody_there(self, error: OutOfReach) -> click.ClickException:
        return click.ClickException(
            f"no front end can be reached at CLIPZY_URL={redacted(self._url)} ({error})."
            " Start one with `clipzy up`, or set CLIPZY_URL."
        )


def _followed(link: str) -> Answer:
    """What lies at a link to the store. Raises ``OutOfReach``."""
    try:
        with urllib.request.urlopen(link, timeout=ANSWER_SECONDS) as response:
            return Answer(response.status, response.headers, response.read())
    except OSError as error:
        raise OutOfReach(f"nor the file in its store: {getattr(error, 'reason', error)}") from error


def _send(connection: http.client.HTTPConnection, body: Iterable[bytes]) -> None:
    """Send the body, or as much of it as the other side wants: one that has answered already wants no more."""
    try:
        for data in body:
            if _has_answered(connection):
                return
            connection.send(data)
    except (BrokenPipeError, ConnectionResetError):
        return  # the answer, if there is one, says more


def _has_answered(connection: http.client.HTTPConnection) -> bool:
    # An encrypted connection is readable for reasons of its own.
    if isinstance(connection, http.client.HTTPSConnection):
        return False
    return bool(select.select([connection.sock], [], [], 0)[0])
