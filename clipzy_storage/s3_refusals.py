"""What a start says where a bucket cannot be used: what was found, and what to do about it."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from botocore.exceptions import ClientError, NoCredentialsError, SSLError

from clipzy_storage.errors import ConfigurationError, NotFound, StorageError, StorageUnavailable
from clipzy_storage.s3_errors import OWN_FAULTS, NotSupported, error_code

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
