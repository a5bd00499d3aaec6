"""``Client``: everything that a program does with one front end."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Self
from urllib.parse import quote, urlencode, urljoin

from clipzy_api.client import events
from clipzy_api.client.downloads import Download
from clipzy_api.client.errors import ClipzyError, JobFailed, WaitTimeout
from clipzy_api.client.events import Event
from clipzy_api.client.following import changes
from clipzy_api.client.paths import JOBS, job_path, video_path
from clipzy_api.client.result_files import ResultFiles
from clipzy_api.client.submissions import Config, checked_key, options_of
from clipzy_api.client.transport import OnRetry, Request, Transport, parsed
from clipzy_api.client.uploads.memory import UploadMemory, state_directory
from clipzy_api.client.uploads.method import Method
from clipzy_api.client.uploads.source import OnProgress
from clipzy_api.client.uploads.uploader import Upload, Uploader, new_job, new_key
from clipzy_api.exports import FormatName, Of
from clipzy_api.fleet_schemas import Fleet
from clipzy_api.request_schemas import MAX_PAGE_SIZE
from clipzy_api.schemas import Deliveries, Delivery, Job, JobPage, Me, Result, Video
from clipzy_storage.config.urls import is_url, redacted
from clipzy_storage.models.records import Queue, Status


class Client:
    """One front end. Every method may raise ``ClipzyError``; see docs/client.md.

    A call whose answer is lost, or asks to try again, is sent again, at most ``attempts`` times in all. That is safe:
    calls that create something have an Idempotency-Key. As long as no server was ever reached, nothing is repeated.
    May be used by several threads, and as a context manager.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout_seconds: float = 30,
        attempts: int = 5,
        on_retry: OnRetry | None = None,
    ) -> None:
        """``timeout_seconds`` is for each answer; ``on_retry`` is called with an error and the seconds of the pause.

        Raises ``ValueError`` if the URL or the key is none.
        """
        if not is_url(url, {"http", "https"}):
            raise ValueError(f"{redacted(url)!r} is not the address of a front end, such as http://127.0.0.1:8000")
        if api_key and not re.fullmatch("[!-~]+", api_key):  # whose error message would show it
            raise ValueError("the API key has characters that no key has, such as a line end")
        self._transport = Transport(
            url, api_key=api_key, timeout_seconds=timeout_seconds, attempts=attempts, on_retry=on_retry
        )
        memory = UploadMemory(state_directory(), server=redacted(self._transport.url), api_key=api_key)
        self._uploader = Uploader(self._transport, memory)

    def __repr__(self) -> str:
        return f"Client({redacted(self._transport.url)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def submit(
        self,
        file: Path | str,
        *,
        config: Config | None = None,
        queue: Queue | str = Queue.INTERACTIVE,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
        on_progress: OnProgress | None = None,
        method: Method | None = None,
    ) -> Job:
        """Upload a file as a new job. ``on_progress`` is called with the bytes sent and those of the file.

        A broken upload is continued, in this call or in a later one for the same file. The ``idempotency_key`` is a
        random one unless it is given, for a program that may be started anew. ``method``: ``form``, ``tus`` or
        ``s3`` instead of the best one. Raises ``UnusableFile``, ``UploadFailed``.
        """
        upload = Upload(Path(file), checked_key(idempotency_key), on_progress, method)
        return self._uploader.submit(upload, options_of(config, queue, webhook_url))

    def submit_video(
        self,
        video_id: str,
        *,
        config: Config | None = None,
        queue: Queue | str = Queue.INTERACTIVE,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """A new job on a video that was uploaded before."""
        key = checked_key(idempotency_key) or new_key()
        return new_job(
            self._transport, {"video_id": video_id, **options_of(config, queue, webhook_url)}, idempotency_key=key
        )

    def submit_url(
        self,
        source_url: str,
        *,
        config: Config | None = None,
        queue: Queue | str = Queue.INTERACTIVE,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """A new job on a video that a worker fetches from this URL, where the operator allows it."""
        key = checked_key(idempotency_key) or new_key()
        return new_job(
            self._transport, {"source_url": source_url, **options_of(config, queue, webhook_url)}, idempotency_key=key
        )

    def upload(
        self,
        file: Path | str,
        *,
        idempotency_key: str | None = None,
        on_progress: OnProgress | None = None,
        method: Method | None = None,
    ) -> Video:
        """Upload a file without a job; as ``submit``."""
        return self._uploader.upload(Upload(Path(file), checked_key(idempotency_key), on_progress, method))

    def job(self, job_id: str) -> Job:
        """The job as it is now."""
        return parsed(Job, self._transport.call(Request("GET", job_path(job_id))))

    def jobs(self, *, status: Status | str | None = None, page_size: int = MAX_PAGE_SIZE) -> Iterator[Job]:
        """All jobs, newest first, each once; fetched page by page."""
        page = self.jobs_page(status=status, page_size=page_size)
        yield from page.jobs
        while page.next_cursor:
            page = self.jobs_page(None, status=status, page_size=page_size, cursor=page.next_cursor)
            yield from page.jobs

    def jobs_page(
        self,
        page: int | None = 1,
        *,
        status: Status | str | None = None,
        page_size: int = 20,
        cursor: str | None = None,
    ) -> JobPage:
        """One page of jobs: counted from 1, or what follows the ``cursor``, with which ``page`` is None."""
        chosen = {"status": status and str(status), "page": page, "cursor": cursor, "page_size": page_size}
        query = urlencode({name: value for name, value in chosen.items() if value is not None})
        return parsed(JobPage, self._transport.call(Request("GET", f"{JOBS}?{query}")))

    def video(self, video_id: str) -> Video:
        """An uploaded video."""
        return parsed(Video, self._transport.call(Request("GET", video_path(video_id))))

    def events(self, job_id: str, *, after: str | None = None) -> Iterator[Event]:
        """Each change of the job as it happens, to its last; from the first, or behind the id ``after``.

        Goes on after broken connections, with nothing repeated and nothing left out.
        """
        return events.follow(self._transport, job_id, after=after)

    def wait(
        self,
        job_id: str,
        *,
        timeout_seconds: float | None = None,
        poll_seconds: float | None = None,
        on_change: Callable[[Job], None] | None = None,
    ) -> Job:
        """The completed job. Polls as often as the front end asks for, or every ``poll_seconds``.

        Raises ``JobFailed`` if it failed or was cancelled, ``WaitTimeout`` if it is not finished after the time.
        """
        started_at = monotonic()
        for job in changes(self._transport, job_id, poll_seconds=poll_seconds, timeout_seconds=timeout_seconds):
            if on_change:
                on_change(job)
        if job.finished_at is None:
            raise WaitTimeout(job, monotonic() - started_at)
        if job.status is not Status.COMPLETED:
            raise JobFailed(job)
        return job

    def result(self, job_id: str) -> Result:
        """The ``output.json`` of a completed job, with a fresh link for each file."""
        return parsed(Result, self._transport.call(Request("GET", job_path(job_id, "/result"))))

    def result_document(self, job_id: str) -> dict[str, Any]:
        """The same as it was sent, with what this client does not know."""
        answer = self._transport.call(Request("GET", job_path(job_id, "/result")))
        parsed(Result, answer)
        document: dict[str, Any] = json.loads(answer.body)
        return document

    def read_json(self, job_id: str, name: str) -> dict[str, Any]:
        """A JSON file of the result, such as ``motion.json``."""
        return ResultFiles(self._transport, job_id).json(name)

    def export(
        self, job_id: str, format_name: FormatName | str, *, of: Of | str = "shots", media: str | None = None
    ) -> bytes:
        """The shots or the clips of a completed job as a file: ``otio``, ``edl``, ``fcpxml``, ``fcp7``, ``csv``,
        ``vtt`` or ``ffmetadata``.

        ``media``: the name, path or URL by which the editing program finds the video, other than its own name.
        """
        query = urlencode({"of": of} | ({"media": media} if media else {}))
        path = job_path(job_id, f"/export/{quote(format_name, safe='')}?{query}")
        return self._transport.call(Request("GET", path)).body

    def download(
        self,
        job_id: str,
        directory: Path | str,
        *,
        names: Sequence[str] | None = None,
        overwrite: bool = False,
        on_progress: OnProgress | None = None,
    ) -> list[Path]:
        """Fetch files of a result into a directory, by their names or all of them, and return their paths.

        Each appears complete and checked against the size and SHA-256 that ``output.json`` lists; ``output.json``
        comes last. What is there already is not fetched again, and a broken transfer is continued. Another file of
        the same name is replaced only with ``overwrite``. Raises ``UnusableFile``, ``DownloadFailed``.
        """
        download = Download(self._transport, job_id, Path(directory), overwrite=overwrite, on_progress=on_progress)
        return download.fetch(names)

    def cancel(self, job_id: str) -> Job:
        """Have a job end as cancelled, soon; one that is cancelled already is returned as it is."""
        try:
            return parsed(Job, self._transport.call(Request("POST", job_path(job_id, "/cancel"))))
        except ClipzyError as error:
            if error.code != "JOB_ALREADY_FINISHED" or (job := self.job(job_id)).status is not Status.CANCELLED:
                raise
            return job

    def retry(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        """A new job on the video of one that failed or was cancelled, with its ``config`` and ``queue``."""
        headers = {"Idempotency-Key": checked_key(idempotency_key) or new_key()}
        return parsed(Job, self._transport.call(Request("POST", job_path(job_id, "/retry"), headers)))

    def deliveries(self, job_id: str) -> list[Delivery]:
        """What was sent to the webhook of a job, and what will be."""
        return parsed(Deliveries, self._transport.call(Request("GET", job_path(job_id, "/deliveries")))).deliveries

    def replay(self, job_id: str, delivery_id: str) -> Delivery:
        """Have a delivery made anew."""
        path = job_path(job_id, f"/deliveries/{quote(delivery_id, safe='')}/replay")
        return parsed(Delivery, self._transport.call(Request("POST", path)))

    def delete(self, job_id: str) -> None:
        """Delete a finished job with its result; its video stays."""
        self._transport.call(Request("DELETE", job_path(job_id), done_if_repeated=404))

    def delete_video(self, video_id: str) -> None:
        """Delete a video that no unfinished job uses; results stay."""
        self._transport.call(Request("DELETE", video_path(video_id), done_if_repeated=404))

    def me(self) -> Me:
        """The API key, its owner, and what that may have and has."""
        return parsed(Me, self._transport.call(Request("GET", "/api/v1/me")))

    def fleet(self) -> Fleet:
        """The workers, what each runs, and what waits for them."""
        return parsed(Fleet, self._transport.call(Request("GET", "/api/v1/fleet")))

    def absolute(self, link: str) -> str:
        """A link in an answer as an absolute URL."""
        return urljoin(f"{self._transport.url}/", link)
