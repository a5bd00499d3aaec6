"""How processing a job can fail. Clients see the texts: no path, no traceback, no content of the video."""

from clipzy_storage.models.records import ErrorCode


class InvalidMedia(Exception):
    """The file is at fault, so a retry cannot help. The text tells its owner what is wrong with it."""


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
