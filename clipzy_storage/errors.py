"""What can go wrong on either side of the seam, by cause.

Errors of the operating system, of redis and of boto3 are translated into these where they arise and go no
further. Each message says what was found and what to do; none carries a secret.
"""

from collections.abc import Sequence


class ConfigurationError(Exception):
    """The set-up is wrong and stays wrong until a person changes it: the process ends with status 78.

    ``problems`` holds one line for each mistake, all that could be found at once.
    """

    EXIT_STATUS = 78  # EX_CONFIG of sysexits.h

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class StorageError(Exception):
    """Root of everything a storage backend raises while it works."""


class NotFound(StorageError):
    """There is nothing complete under this key."""


class AlreadyExists(StorageError):
    """The key has been written before; keys are write-once."""


class BadKey(StorageError):
    """The key is not of the allowed form, or would lead out of the storage."""


class Damaged(StorageError):
    """What was read is not what had been stored."""


class StorageFull(StorageError):
    """No space, or over quota; nothing of the failed write remains."""


class StorageUnavailable(StorageError):
    """The storage does not answer, or answers with an error that may pass."""


class QueueUnavailable(Exception):
    """Redis could not be asked.

    ``certain`` is true when Redis has certainly done nothing; false when the connection broke between our
    asking and its answer, so that what was asked for may have happened after all.
    """

    def __init__(self, message: str, *, certain: bool) -> None:
        super().__init__(message)
        self.certain = certain


class JobNotFound(Exception):
    """No such job, or it belongs to another owner."""


class VideoGone(Exception):
    """The video is being removed, so no job can be had over it any more."""


class IdempotencyMismatch(Exception):
    """The key came with something else before."""


class LostJob(Exception):
    """The job belongs to another holder or has finished: stop, and publish nothing."""


class CancellationRequested(Exception):
    """The job must be cancelled: stop, and confirm it."""


class JobAlreadyFinished(Exception):
    """The job has its outcome, which never changes again."""
