"""The files of a result as the front end sends them: itself, or by a redirect to storage."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urljoin

from pydantic import BaseModel, Field, ValidationError
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from clipzy_api.client.connections import cause_of
from clipzy_api.client.errors import DownloadFailed, FrontEndUnreachable
from clipzy_api.client.paths import job_path
from clipzy_api.client.transport import Answer, Transport, refusal, unreachable
from clipzy_storage.config.urls import redacted

INDEX_NAME = "output.json"
ANSWER_TIMEOUT_SECONDS = 60.0


class StorageUnreachable(DownloadFailed):
    """Storage gave no answer to the redirected request; that may pass if it ever gave one."""

    def __init__(self, detail: str, *, has_answered: bool) -> None:
        super().__init__(detail)
        self._has_answered = has_answered

    @property
    def is_transient(self) -> bool:
        return self._has_answered


class ListedFile(BaseModel):
    """What is needed of an artifact to fetch it, in results of every version."""

    name: str
    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Index(BaseModel):
    job_id: str
    artifacts: list[ListedFile]


class ResultFiles:
    """The files of one job's result."""

    def __init__(self, transport: Transport, job_id: str) -> None:
        self._transport, self._job_id = transport, job_id
        self._has_storage_answered = False

    def index(self) -> tuple[bytes, Index]:
        """The job's ``output.json`` as it is stored, and what it lists. Raises ``ClipzyError``."""
        content = self.read(INDEX_NAME)
        try:
            index = Index.model_validate_json(content)
        except ValidationError as error:
            raise DownloadFailed(f"The {INDEX_NAME} of {self._job_id} is damaged.") from error
        return content, index

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file. Raises ``ClipzyError``."""
        try:
            content = json.loads(self.read(name))
        except ValueError as error:
            raise DownloadFailed(f"{name} of {self._job_id} is damaged: it is no JSON.") from error
        if not isinstance(content, dict):
            raise DownloadFailed(f"{name} of {self._job_id} is no JSON object.")
        return content

    def read(self, name: str) -> bytes:
        """A small file as a whole, fetched again where that may help. Raises ``ClipzyError``."""

        def once(_is_repeated: bool) -> bytes:
            with self.opened(name) as response:
                return response.read()

        return self._transport.repeated(once)

    @contextmanager
    def opened(self, name: str, *, offset_bytes: int = 0) -> Iterator[BaseHTTPResponse]:
        """The answer with a file, from this offset on if its status is 206. Raises ``ClipzyError``."""
        headers = {"Range": f"bytes={offset_bytes}-"} if offset_bytes else {}
        url = self._transport.url
        path = job_path(self._job_id, f"/files/{quote(name)}")
        response = self._transport.stream(path, headers, timeout_seconds=ANSWER_TIMEOUT_SECONDS)
        is_redirected = response.status in (302, 303, 307)
        try:
            if is_redirected:
                url = urljoin(f"{url}/", response.headers.get("Location", ""))
                response.drain_conn()  # the connection serves the next file
                response = self._from_storage(url, headers)
            elif response.status not in (200, 206):
                raise refusal(Answer(response.status, response.headers, response.read()))
            yield response
        except HTTPError as error:
            if is_redirected:
                raise StorageUnreachable(_unfetchable(url, cause_of(error)), has_answered=True) from error
            raise unreachable(url, error) from error
        finally:
            response.close()

    def _from_storage(self, url: str, headers: dict[str, str]) -> BaseHTTPResponse:
        try:
            response = self._transport.stream_link(url, headers)
        except FrontEndUnreachable as error:
            has_answered = self._has_storage_answered or error.is_connected
            raise StorageUnreachable(_unfetchable(url, error.cause), has_answered=has_answered) from error
        self._has_storage_answered = True
        if response.status not in (200, 206):
            response.close()
            raise DownloadFailed(_unfetchable(url, f"status {response.status}"), status=response.status)
        return response


def _unfetchable(url: str, cause: str) -> str:
    return f"the file cannot be fetched from storage at {redacted(url)}: {cause}."
