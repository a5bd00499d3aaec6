"""Every error of Clipzy, by cause.

Errors of the operating system, of redis and of boto3 are translated into these where they arise and go no
further. Each message says what was found and what to do; none contains a secret.
"""

from collections.abc import Sequence


class ConfigurationError(Exception):
    """The configuration is wrong and stays wrong until an operator changes it: the process exits with status 78.

    ``problems`` has one line for each mistake that was found.
    """

    EXIT_STATUS = 78  # EX_CONFIG of sysexits.h

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class StorageError(Exception):
    """Base of all errors that a storage backend raises once it is prepared."""


class NotFound(StorageError):
    """No complete file exists under this key."""


class AlreadyExists(StorageError):
    """A file exists under this key; each key is written once."""


class BadKey(StorageError):
    """The key is not of the allowed form, or a symbolic link or a file is in its way."""


class Damaged(StorageError):
    """What was read is not what was stored."""


class StorageFull(StorageError):
    """No space is left, or the quota is reached; nothing of the failed write remains."""


class StorageUnavailable(StorageError):
    """The storage does not respond, or responds with an error that may be temporary."""


class CredentialsRefused(StorageUnavailable):
    """The storage refuses the credentials of this process, or they cannot be renewed: they expired, or are wrong.

    ``finding`` says what is wrong with them, without secrets; ``str`` names the remedy too.
    """

    def __init__(self, finding: str, *, remedy: str) -> None:
        super().__init__(f"the storage refuses the credentials: {finding}. {remedy}")
        self.finding = finding
        self.remedy = remedy


class QueueUnavailable(Exception):
    """Redis did not carry out a command, or did not confirm it.

    ``certain`` is true if Redis has certainly done nothing; false if the connection broke after the command was
    sent, so that Redis may have carried it out.
    """

    def __init__(self, message: str, *, certain: bool) -> None:
        super().__init__(message)
        self.certain = certain


class QueueRefused(QueueUnavailable):
    """Redis refuses this process until an operator changes something: the password, a right, the database.

    ``reason`` continues a sentence whose subject is the server, and names the remedy.
    """

    def __init__(self, reason: str, *, certain: bool = True) -> None:
        super().__init__(f"Redis {reason}", certain=certain)
        self.reason = reason


class ScriptFailed(Exception):
    """A Lua script of ours failed by its own fault: an internal error, which trying again does not mend.

    What the script did before that stays done.
    """


class QueueFull(Exception):
    """The deployment has ``MAX_UNFINISHED_JOBS`` already; nothing was created."""


class QuotaExceeded(Exception):
    """The owner has as much as a setting allows; nothing was created. The message is for the owner.

    ``limit`` is a field of ``OwnerLimits``.
    """

    def __init__(self, message: str, *, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class JobNotFound(Exception):
    """No such job, or it belongs to another owner."""


class UploadNotFound(Exception):
    """No such upload, or it belongs to another owner, or it has expired."""


class OffsetMismatch(Exception):
    """The upload has another number of bytes than the request continues after."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the upload has {size_bytes} bytes")
        self.size_bytes = size_bytes


class PartsMismatch(Exception):
    """The parts of a direct upload are not what was declared. The message is for the owner."""


class UploadLocked(Exception):
    """Another request writes this upload."""


class VideoGone(Exception):
    """The video is being deleted, so no new job can use it."""


class VideoInUse(Exception):
    """An unfinished job uses the video, so it cannot be deleted."""


class IdempotencyMismatch(Exception):
    """The Idempotency-Key was used before, for another request."""


class LostJob(Exception):
    """The job belongs to another holder or has finished: stop, and publish nothing."""


class CancellationRequested(Exception):
    """The job must be cancelled: stop, and confirm it."""


class JobAlreadyFinished(Exception):
    """The job is in a terminal state, which never changes."""


class DeliveryInProgress(Exception):
    """An attempt to deliver the event is being made at this moment."""


class UrlRefused(Exception):
    """A URL that a client has named, or a redirect from it, is not one that Clipzy opens.

    The message is a clause about the URL, "it", and shows nothing of it.
    """


class ServerUnreachable(Exception):
    """The server behind a URL that a client has named does not answer, or the connection broke. Trying again may help.

    The message is a clause for the client.
    """
