"""How processing a job can fail. Clients see the texts: no path, no traceback, no content of the video."""

from clipzy_storage.models.records import ErrorCode


class PermanentFailure(Exception):
    """Another attempt would fail as well. The text tells the job's owner why."""

    code: ErrorCode


class InvalidMedia(PermanentFailure):
    """The file is at fault."""

    code = ErrorCode.INVALID_MEDIA


class ImportFailed(PermanentFailure):
    """The video cannot be fetched from where its URL leads, or may not be kept. Nothing of the URL is in the text."""

    code = ErrorCode.IMPORT_FAILED


class ResultTooLarge(PermanentFailure):
    """The result exceeds ``MAX_RESULT_MB``, or the size of an ``output.json``."""

    code = ErrorCode.RESULT_TOO_LARGE


class RenderFailed(PermanentFailure):
    """A part of the video could not be rendered, though it was analysed: its frames are not found again, or differ."""

    code = ErrorCode.PROCESSING_FAILED


class MediaCrashed(Exception):
    """The media process was killed by a signal, exceeded a limit or broke its protocol. A retry may succeed."""


class DeadlineExceeded(Exception):
    """The attempt has used up PROCESSING_TIMEOUT_SECONDS."""


class JobFailed(Exception):
    """The job has failed for good; raised at the end of its task so that Flower shows it as a failure."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(code, message)  # both, so that Celery can send it from the pool
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.value}: {self.message}"


def result_too_large(limit_bytes: int, *, at_least_bytes: int | None = None) -> ResultTooLarge:
    """The error for a result over the limit; ``at_least_bytes`` if that was estimated before the work."""
    found = f"would be at least {_mib(at_least_bytes)}" if at_least_bytes else "is larger"
    return ResultTooLarge(
        f"The result {found}; at most {_mib(limit_bytes)} are accepted for this video (MAX_RESULT_MB)."
        " Ask for fewer or smaller outputs in the job's config."
    )


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):.6g} MiB"
