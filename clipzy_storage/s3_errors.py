"""What an S3 service and boto3 complain of, in our own words."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    ConnectTimeoutError,
    InvalidRegionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
)

from clipzy_storage.errors import (
    AlreadyExists,
    NotFound,
    StorageError,
    StorageFull,
    StorageUnavailable,
)

# Mistakes in what boto3 was given: no answer of the service can mend them.
OWN_FAULTS = (
    ConfigParseError,
    InvalidRegionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)

_MISSING = {"NoSuchKey", "NoSuchUpload", "404", "NotFound"}
_FULL = {"QuotaExceeded", "StorageFull", "InsufficientStorage", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}


class Conflict(StorageUnavailable):
    """Another request for the same key was under way; to be tried again."""


class NotSupported(StorageUnavailable):
    """The service does not know this kind of request."""


class Silent(StorageUnavailable):
    """The service let a request run out of time."""


@contextmanager
def translated(key: str) -> Iterator[None]:
    """Turn botocore's errors into our own; none of their texts is passed on, since they may name what is secret.

    Raises:
        NotFound: there is no such key, or no such multipart upload.
        AlreadyExists: the condition that there be none was not met.
        Conflict, NotSupported, StorageFull, StorageUnavailable; ``Silent`` where time ran out.
    """
    try:
        yield
    except ClientError as error:
        raise _by_code(error, key) from error
    except (BotoCoreError, OSError) as error:
        if _ran_out_of_time(error):
            raise Silent(f"the store does not answer ({type(error).__name__})") from error
        raise StorageUnavailable(f"the store cannot be reached ({type(error).__name__})") from error


def _ran_out_of_time(error: BaseException | None) -> bool:
    """Whether a timeout began it; botocore names its errors by what was going on, not by why it failed."""
    while error is not None:
        if isinstance(error, TimeoutError | ReadTimeoutError | ConnectTimeoutError):
            return True
        error = error.__context__
    return False


def error_code(error: BaseException | None) -> str:
    """The service's own word for what was wrong, empty where it did not answer."""
    return str(error.response.get("Error", {}).get("Code") or "") if isinstance(error, ClientError) else ""


def error_status(error: BaseException | None) -> int:
    """The HTTP status of the service's answer, 0 where it did not answer."""
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"]) if isinstance(error, ClientError) else 0


def _by_code(error: ClientError, key: str) -> StorageError:
    code, status = error_code(error), error_status(error)
    if code in _MISSING or (status == 404 and not code):
        return NotFound(f"there is no {key} in the storage")
    if status == 412:
        return AlreadyExists(f"{key} is stored already")
    if status == 409 and code in {"ConditionalRequestConflict", "OperationAborted"}:
        return Conflict(f"{key} is being written by another")
    if status in {405, 501} or code == "NotImplemented":
        return NotSupported(f"the store does not know {error.operation_name}")
    if status == 507 or code in _FULL:
        return StorageFull("the storage is full; delete something or add space")
    return StorageUnavailable(f"the store answers {error.operation_name} with {code or status}")
