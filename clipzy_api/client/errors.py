"""Every error that the client raises: one family, whose members say what kind of thing went wrong."""

from clipzy_api.schemas import Job

TRANSIENT_STATUSES = frozenset({423, 429, 500, 502, 503, 504})


class ClipzyError(Exception):
    """The front end refused a call, or the call could not be carried out.

    ``detail`` is for people: what was found and what to do. What the front end did not answer is None.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        status: int | None = None,
        field: str | None = None,
        limit: str | None = None,
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        """The stable name of the problem, as docs/api.md lists them."""
        self.status = status
        """The HTTP status."""
        self.field = field
        """The field that is at fault."""
        self.limit = limit
        """The limit of the owner that is reached, by its name in ``me()``."""
        self.request_id = request_id
        """Under which the operator finds the call in the log."""
        self.retry_after_seconds = retry_after_seconds
        """After which the front end asks to try again."""

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.code else self.detail

    @property
    def is_transient(self) -> bool:
        """Whether the same call may succeed later."""
        return self.status in TRANSIENT_STATUSES and self.limit != "stored_bytes"  # which only deleting lowers


class FrontEndUnreachable(ClipzyError):
    """There is no answer: ``cause`` says why; ``is_connected`` is false if not even a connection could be opened."""

    def __init__(self, url: str, cause: str, *, is_connected: bool) -> None:
        """``url`` without secrets."""
        super().__init__(
            f"the front end at {url} gave no answer ({cause})."
            if is_connected
            else f"no front end can be reached at {url} ({cause})."
        )
        self.cause = cause
        self.is_connected = is_connected

    @property
    def is_transient(self) -> bool:
        return True


class UnexpectedAnswer(ClipzyError):
    """Something else than Clipzy answered, or a version of it that this client cannot read."""


class JobFailed(ClipzyError):
    """The job ended as failed or cancelled; ``code`` and ``detail`` are its own."""

    def __init__(self, job: Job) -> None:
        if job.error is None:
            super().__init__("The job was cancelled and has no result.", code="JOB_CANCELLED")
        else:
            super().__init__(job.error.message, code=job.error.code.value)
        self.job = job


class WaitTimeout(ClipzyError, TimeoutError):
    """The job is not finished after the time that the caller gave it; it goes on. ``job`` is its last known state."""

    def __init__(self, job: Job, timeout_seconds: float) -> None:
        super().__init__(f"{job.job_id} is still {job.status.value} after {timeout_seconds:g} s; it goes on.")
        self.job = job


class UnusableFile(ClipzyError):
    """A file or directory of this machine cannot be read or written as asked."""


class UploadFailed(ClipzyError):
    """A file cannot be sent to the S3 service: it cannot be reached, or refuses what the front end has signed."""

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        retry_after_seconds: float | None = None,
        has_answered: bool = True,
    ) -> None:
        """``has_answered``: whether a connection to the service was ever opened."""
        super().__init__(detail, status=status, retry_after_seconds=retry_after_seconds)
        self._has_answered = has_answered

    @property
    def is_transient(self) -> bool:
        return super().is_transient or (self.status is None and self._has_answered)


class DownloadFailed(ClipzyError):
    """A file of a result could not be fetched, or is not the one that the result lists."""
