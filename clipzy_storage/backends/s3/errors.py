"""What an S3 service and boto3 complain of, in our own words."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

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


_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_ELSEWHERE = "the bucket lies in another region. Set AWS_DEFAULT_REGION to the region of the bucket"
_BY_CODE = {
    "NoSuchBucket": "there is no such bucket. Create it, or set S3_BUCKET_NAME to one that is there",
    "InvalidBucketName": "that is no name of a bucket. Set S3_BUCKET_NAME to one",
    "InvalidAccessKeyId": f"the store does not know the access key. Set {_KEYS} to a pair that it knows",
    "SignatureDoesNotMatch": f"the secret key is wrong. Set {_KEYS} to a pair that belongs together",
    "InvalidToken": "the session token is wrong. Set AWS_SESSION_TOKEN anew, or leave the keys out to use a role",
    "ExpiredToken": "the session token has expired. Get new credentials, or leave the keys out to use a role",
    "PermanentRedirect": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "IllegalLocationConstraintException": _ELSEWHERE,
}
_ACCESS = {"AccessDenied", "403", "AllAccessDisabled", "Forbidden", "UnauthorizedAccess"}
_RIGHTS = {
    "CreateMultipartUpload": "s3:PutObject",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
_SKEWED = "RequestTimeTooSkewed"
_SKEW_MINUTES = 14  # the services bear 15
_UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "doesn't match", "WRONG_VERSION_NUMBER", "HTTP_REQUEST")


def explained(error: StorageError, *, bucket: str, host: str) -> StorageError | ConfigurationError:
    """The error as a start shows it: a ``ConfigurationError`` with the remedy, where only a person can mend it."""
    problem = _problem(error)
    named = f"S3_BUCKET_NAME={bucket} on {host}"
    if problem is not None:
        return ConfigurationError([f"{named}: {problem}."])
    if isinstance(error, NotFound):
        return StorageUnavailable(f"{named}: what answers is no S3 service. Check AWS_ENDPOINT_URL_S3")
    return StorageUnavailable(f"{named}: {error}")


def _problem(error: StorageError) -> str | None:
    cause = error.__cause__
    code = error_code(cause)
    if isinstance(cause, ClientError) and (minutes := _minutes_ahead(cause)) is not None:
        way = "ahead of" if minutes > 0 else "behind"
        return f"this machine's clock is {abs(minutes)} minutes {way} the store's. Set the clock, best by NTP"
    if code in _BY_CODE:
        return _BY_CODE[code]
    if isinstance(cause, NoCredentialsError):
        return f"no credentials were found. Set {_KEYS}, or AWS_PROFILE, or give this machine a role"
    if isinstance(cause, SSLError) and any(word in str(cause) for word in _UNTRUSTED):
        return "its TLS certificate cannot be trusted. Correct AWS_ENDPOINT_URL_S3, or set AWS_CA_BUNDLE"
    if isinstance(cause, OWN_FAULTS):
        return f"boto3 cannot use its settings ({type(cause).__name__}). Correct them"
    if isinstance(cause, ClientError) and code in _ACCESS:
        right = _RIGHTS.get(cause.operation_name, f"s3:{cause.operation_name}")
        remedy = f"Check whether that is your bucket, and grant {right} as the policy in docs/storage.md does"
        return f"the store denies {cause.operation_name}. {remedy}"
    if isinstance(error, NotSupported):
        return f"{error}, which Clipzy needs. Check AWS_ENDPOINT_URL_S3, or use another service"
    return None


def _minutes_ahead(cause: ClientError) -> int | None:
    """How far our clock is off, where that is why a request was refused; some services say no more than denied."""
    if error_code(cause) not in {_SKEWED, *_ACCESS}:
        return None
    said = cause.response["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    if said is None:
        return 0 if error_code(cause) == _SKEWED else None
    minutes = round((_now() - parsedate_to_datetime(said)).total_seconds() / 60)
    return minutes if abs(minutes) >= _SKEW_MINUTES or error_code(cause) == _SKEWED else None


def _now() -> datetime:
    return datetime.now(UTC)
