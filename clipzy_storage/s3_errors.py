"""What an S3 service and boto3 complain of, in our own words; and at start, with the remedy."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    InvalidRegionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
)

from clipzy_storage.errors import (
    AlreadyExists,
    ConfigurationError,
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
    SSLError,
)

_MISSING = {"NoSuchKey", "NoSuchUpload", "404", "NotFound"}
_FULL = {"QuotaExceeded", "StorageFull", "InsufficientStorage", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}
_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_BY_CODE = {
    "NoSuchBucket": "does not exist there. Create it, or set S3_BUCKET_NAME to one that does",
    "InvalidBucketName": "is no name of a bucket. Set it to one",
    "InvalidAccessKeyId": f"refuses the access key as unknown. Set {_KEYS} to a pair that the store knows",
    "SignatureDoesNotMatch": f"refuses the secret key as wrong. Set {_KEYS} to a pair that belongs together",
    "InvalidToken": "refuses the session token. Set AWS_SESSION_TOKEN anew, or leave the keys out to use a role",
    "ExpiredToken": "refuses the session token as expired. Get new credentials, or leave the keys out to use a role",
    "RequestTimeTooSkewed": "refuses requests because this machine's clock is wrong. Set the clock (NTP)",
    "PermanentRedirect": "lies in another region. Set AWS_DEFAULT_REGION to the region of the bucket",
    "AuthorizationHeaderMalformed": "lies in another region. Set AWS_DEFAULT_REGION to the region of the bucket",
    "IllegalLocationConstraintException": "lies in another region. Set AWS_DEFAULT_REGION to the region of the bucket",
}
_ACCESS = {"AccessDenied", "403", "AllAccessDisabled", "Forbidden", "UnauthorizedAccess"}


class Conflict(StorageError):
    """Another request for the same key was under way; to be tried again."""


class NotSupported(StorageError):
    """The service does not know this kind of request."""


@contextmanager
def translated(key: str) -> Iterator[None]:
    """Turn botocore's errors into our own; none of their texts is passed on, since they may name what is secret.

    Raises:
        NotFound: there is no such key, or no such multipart upload.
        AlreadyExists: the condition that there be none was not met.
        Conflict, NotSupported, StorageFull, StorageUnavailable.
    """
    try:
        yield
    except ClientError as error:
        raise _by_code(error, key) from error
    except (BotoCoreError, OSError) as error:
        raise StorageUnavailable(f"the store cannot be reached ({type(error).__name__})") from error


def error_code(error: BaseException | None) -> str:
    """The service's own word for what was wrong, empty where it did not answer."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _by_code(error: ClientError, key: str) -> StorageError:
    code = error_code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _MISSING:
        return NotFound(f"there is no {key} in the storage")
    if status == 412:
        return AlreadyExists(f"{key} is stored already")
    if status == 409 and code in {"ConditionalRequestConflict", "OperationAborted"}:
        return Conflict(f"{key} is being written by another")
    if status in {400, 405, 501} and code in {"NotImplemented", "MethodNotAllowed"}:
        return NotSupported(f"the store does not know {error.operation_name}")
    if status == 507 or code in _FULL:
        return StorageFull("the storage is full; delete something or add space")
    return StorageUnavailable(f"the store answers {error.operation_name} with {code or status}")


def explained(error: StorageError, *, bucket: str) -> StorageError | ConfigurationError:
    """The error as a start shows it: with the remedy, where only a person can mend what is wrong."""
    cause = error.__cause__
    code = error_code(cause)
    named = f"S3_BUCKET_NAME={bucket}"
    if isinstance(cause, NoCredentialsError):
        problem = f"no credentials were found. Set {_KEYS}, or AWS_PROFILE, or give this machine a role"
    elif isinstance(cause, SSLError):
        problem = "the store's certificate is not to be trusted. Correct the endpoint, or set AWS_CA_BUNDLE"
    elif isinstance(cause, OWN_FAULTS):
        problem = f"boto3 cannot use its settings ({type(cause).__name__}). Correct them"
    elif code in _BY_CODE:
        problem = (
            f"the store {_BY_CODE[code]}" if _BY_CODE[code].startswith("refuses") else f"the bucket {_BY_CODE[code]}"
        )
    elif code in _ACCESS and isinstance(cause, ClientError):
        problem = f"{cause.operation_name} is denied. Give these credentials the rights that docs/storage.md lists"
    else:
        return error
    return ConfigurationError([f"{named}: {problem}."])
