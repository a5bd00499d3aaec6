"""How work on a job can end other than well. The texts are shown to clients: no path, no traceback, no footage."""

from clipzy_storage.models.records import ErrorCode


class InvalidMedia(Exception):
    """The file is at fault: trying again cannot help. The text says what is wrong with it, for its owner."""


class MediaCrashed(Exception):
    """The media process died of a signal, ran into a limit or broke its protocol. One more try may be worth it."""


class LostJob(Exception):
    """The job is not ours any more: stop, publish nothing, say nothing."""


class Cancelled(Exception):
    """Somebody wants the job no more: stop, and end it as cancelled."""


class JobFailed(Exception):
    """The job has failed for good; raised at the end of its task so that Flower shows it as a failure."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(code, message)  # both, so that Celery can send it from the pool
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.value}: {self.message}"
