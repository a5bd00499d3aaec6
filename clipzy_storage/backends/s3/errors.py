"""Errors of an S3 service and of boto3 as our own."""

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
    LoginRefreshRequired,
    LoginTokenLoadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSLError,
    SSOTokenLoadError,
    UnauthorizedSSOTokenError,
)

from clipzy_storage.backends.error_counts import counted
from clipzy_storage.errors import (
    AlreadyExists,
    ConfigurationError,
    CredentialsRefused,
    NotFound,
    StorageError,
    StorageFull,
    StorageUnavailable,
)

SETTINGS_ERRORS = (
    ConfigParseError,
    InvalidRegionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)
"""Mistakes in boto3's settings: only an operator can correct them."""

_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_UNKNOWN_KEY = ("the S3 service does not know the access key", f"Set {_KEYS} to a pair that it knows")
_WRONG_TOKEN = ("the session token is wrong", "Set AWS_SESSION_TOKEN again, or leave the keys out to use a role")
_EXPIRED = ("the session token has expired", "Get new credentials, or leave the keys out to use a role")
_SKEWED = "RequestTimeTooSkewed"
_CREDENTIALS = {
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "InvalidClientTokenId": _UNKNOWN_KEY,
    "UnrecognizedClientException": _UNKNOWN_KEY,
    "SignatureDoesNotMatch": ("the secret key is wrong", f"Set {_KEYS} to a pair that belongs together"),
    "InvalidToken": _WRONG_TOKEN,
    "InvalidTokenId": _WRONG_TOKEN,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    _SKEWED: ("this machine's clock is too far from that of the S3 service", "Set it, best by NTP"),
}
"""Codes with which services refuse credentials: what is wrong, and the remedy."""
_SKEW_MINUTES = 14
"""A clock that is so far off explains a refused request: services accept up to 15."""
_LOGIN_ERRORS = (LoginRefreshRequired, LoginTokenLoadError, SSOTokenLoadError, UnauthorizedSSOTokenError)
_LOGIN_EXPIRED = ("the login of boto3's profile has expired", "Log in again, as with `aws sso login`")
_NOT_RENEWED = ("the credentials of the role have expired and were not renewed", "Check what provides them")

_MISSING = {"NoSuchKey", "NoSuchUpload", "404", "NotFound"}
_FULL = {"QuotaExceeded", "StorageFull", "InsufficientStorage", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}


class Conflict(StorageUnavailable):
    """Another request for the same key was in progress; try again."""


class NotSupported(StorageUnavailable):
    """The service does not support this kind of request."""


class NoResponse(StorageUnavailable):
    """A request timed out."""


@contextmanager
def boto_errors_translated(key: str) -> Iterator[None]:
    """Raise errors of botocore as ``StorageError``; their texts are not passed on, since they may contain secrets.

    Raises:
        NotFound: there is no such key, or no such multipart upload.
        AlreadyExists: a condition was not met.
        CredentialsRefused: the credentials are wrong or have expired.
        Conflict, NotSupported, NoResponse, StorageFull, StorageUnavailable.
    """
    try:
        yield
    except ClientError as error:
        found = _by_code(error, key)
        raise found if isinstance(found, Conflict | NotSupported) else counted(found) from error
    except _LOGIN_ERRORS as error:
        raise counted(refused(*_LOGIN_EXPIRED)) from error
    except RuntimeError as error:  # botocore's, without a class of its own
        if "credentials are still expired" not in str(error):
            raise
        raise counted(refused(*_NOT_RENEWED)) from error
    except (BotoCoreError, OSError) as error:
        if _timed_out(error):
            raise counted(NoResponse(f"the S3 service does not respond ({type(error).__name__})")) from error
        raise counted(StorageUnavailable(f"the S3 service cannot be reached ({type(error).__name__})")) from error


def refused(finding: str, remedy: str) -> CredentialsRefused:
    return CredentialsRefused(finding, remedy=remedy)


def _timed_out(error: BaseException | None) -> bool:
    """Whether a timeout is the cause; botocore names its errors by what it was doing, not by why that failed."""
    while error is not None:
        if isinstance(error, TimeoutError | ReadTimeoutError | ConnectTimeoutError):
            return True
        error = error.__context__
    return False


def error_code(error: BaseException | None) -> str:
    """The error code in the service's response, empty if there was no response."""
    return str(error.response.get("Error", {}).get("Code") or "") if isinstance(error, ClientError) else ""


def error_status(error: BaseException | None) -> int:
    """The HTTP status of the service's response, 0 if there was none."""
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"]) if isinstance(error, ClientError) else 0


def _by_code(error: ClientError, key: str) -> StorageError:
    code, status = error_code(error), error_status(error)
    if code in _CREDENTIALS:
        return refused(*_CREDENTIALS[code])
    if code in _MISSING or (status == 404 and not code):
        return NotFound(f"there is no {key} in the storage")
    if status == 412:
        return AlreadyExists(f"{key} is stored already")
    if status == 409 and code in {"ConditionalRequestConflict", "OperationAborted"}:
        return Conflict(f"{key} is being written by another process")
    if status in {405, 501} or code == "NotImplemented":
        return NotSupported(f"the S3 service does not support {error.operation_name}")
    if status == 507 or code in _FULL:
        return StorageFull("the storage is full; delete something or add space")
    return StorageUnavailable(f"the S3 service responds to {error.operation_name} with {code or status}")


_OTHER_REGION = "the bucket is in another region. Set AWS_DEFAULT_REGION to the region of the bucket"
_BY_CODE = {
    "NoSuchBucket": "there is no such bucket. Create it, or set S3_BUCKET_NAME to one that exists",
    "InvalidBucketName": "that is not a valid name of a bucket. Set S3_BUCKET_NAME to one",
    "PermanentRedirect": _OTHER_REGION,
    "AuthorizationHeaderMalformed": _OTHER_REGION,
    "IllegalLocationConstraintException": _OTHER_REGION,
}
_ACCESS = {"AccessDenied", "403", "AllAccessDisabled", "Forbidden", "UnauthorizedAccess"}
_PERMISSIONS = {
    "CreateMultipartUpload": "s3:PutObject",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
_UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "doesn't match", "WRONG_VERSION_NUMBER", "HTTP_REQUEST")


def explained(
    error: StorageError, *, bucket: str, host: str, now: datetime | None = None
) -> StorageError | ConfigurationError:
    """The error at the start: a ``ConfigurationError`` with the remedy if only an operator can fix it.

    ``now`` is the time of this machine.
    """
    problem = _problem(error, now or datetime.now(UTC))
    named = f"S3_BUCKET_NAME={bucket} on {host}"
    if problem is not None:
        return ConfigurationError([f"{named}: {problem}."])
    if isinstance(error, NotFound):
        return StorageUnavailable(f"{named}: what responds is not an S3 service. Check AWS_ENDPOINT_URL_S3")
    return StorageUnavailable(f"{named}: {error}")


def _problem(error: StorageError, now: datetime) -> str | None:
    cause = error.__cause__
    code = error_code(cause)
    if isinstance(cause, ClientError) and (minutes := _minutes_ahead(cause, now)) is not None:
        way = "ahead of" if minutes > 0 else "behind"
        return f"this machine's clock is {abs(minutes)} minutes {way} that of the S3 service. Set it, best by NTP"
    if isinstance(error, CredentialsRefused):
        return f"{error.finding}. {error.remedy}"
    if code in _BY_CODE:
        return _BY_CODE[code]
    if isinstance(cause, NoCredentialsError):
        return f"no credentials were found. Set {_KEYS}, or AWS_PROFILE, or give this machine a role"
    if isinstance(cause, SSLError) and any(word in str(cause) for word in _UNTRUSTED):
        return "its TLS certificate cannot be trusted. Correct AWS_ENDPOINT_URL_S3, or set AWS_CA_BUNDLE"
    if isinstance(cause, SETTINGS_ERRORS):
        return f"boto3 cannot use its settings ({type(cause).__name__}). Correct them"
    if isinstance(cause, ClientError) and code in _ACCESS:
        permission = _PERMISSIONS.get(cause.operation_name, f"s3:{cause.operation_name}")
        remedy = f"Check whether that is your bucket, and grant {permission} as the policy in docs/storage.md does"
        return f"the S3 service denies {cause.operation_name}. {remedy}"
    if isinstance(error, NotSupported):
        return f"{error}, which Clipzy needs. Check AWS_ENDPOINT_URL_S3, or use another service"
    return None


def _minutes_ahead(cause: ClientError, now: datetime) -> int | None:
    """How far our clock is off, if that is why a request was refused; some services respond with access denied."""
    if error_code(cause) not in {_SKEWED, *_ACCESS}:
        return None
    date = cause.response["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    if date is None:
        return 0 if error_code(cause) == _SKEWED else None
    minutes = round((now - parsedate_to_datetime(date)).total_seconds() / 60)
    return minutes if abs(minutes) >= _SKEW_MINUTES or error_code(cause) == _SKEWED else None
