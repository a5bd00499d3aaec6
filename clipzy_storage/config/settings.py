"""Every setting, in one table: name, default, bounds and help. Pure: see ``environment`` for where they are read."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.fields import FieldInfo

from clipzy_storage.config.redis_url import RedisUrl
from clipzy_storage.config.setting_types import (
    AbsolutePath,
    BaseUrl,
    HostNames,
    LogLevel,
    Networks,
    OptionalBaseUrl,
    OptionalRedisUrl,
    Origins,
    ParsedRedisUrl,
    Queues,
    WebhookSecrets,
)

DEFAULT_REDIS_URL = "redis://localhost:6379/0"
MAX_LINK_LIFE_SECONDS = 604_800  # S3 signs for no longer
# Its first URL has no login: before an @ everything is taken for a secret, and shown as ***.
_REDIS_URLS = "redis://host:port/db, with user:password@ before the host if needed, rediss://… or unix:///path?db=0"


def _setting(name: str, default: Any, *, expects: str, help: str, **bounds: Any) -> Any:
    return Field(
        default,
        alias=name,
        description=help,
        json_schema_extra={"expects": expects},
        repr=not name.endswith(("URL", "API_KEY", "SECRETS")),
        **bounds,
    )


class Settings(BaseModel):
    """The settings of one process, passed by the names of their environment variables; see ``settings_from_env``."""

    model_config = ConfigDict(frozen=True, validate_default=True, hide_input_in_errors=True)

    storage_type: Literal["local", "s3"] = _setting(
        "STORAGE_TYPE", "local", expects="local or s3", help="Where uploads and results live: local or s3."
    )
    local_storage_path: AbsolutePath = _setting(
        "LOCAL_STORAGE_PATH",
        "./storage",
        expects="the path of a directory",
        help="The storage directory; created if missing, but not when declared shared.",
    )
    local_storage_shared: bool = _setting(
        "LOCAL_STORAGE_SHARED",
        "false",
        expects="true or false",
        help="Declares that LOCAL_STORAGE_PATH is one filesystem mounted by every worker and front end.",
    )
    worker_count: int = _setting(
        "WORKER_COUNT",
        "1",
        ge=1,
        le=1000,
        expects="a whole number from 1 to 1000",
        help="How many workers the deployment runs; more than 1 needs a shared storage.",
    )
    s3_bucket_name: str | None = _setting(
        "S3_BUCKET_NAME",
        None,
        pattern=r"^[A-Za-z0-9._-]{3,255}$",
        expects="the name of a bucket",
        help="The bucket; needed for s3. Endpoint, region and keys are boto3's own settings, see docs/storage.md.",
    )
    s3_public_endpoint_url: OptionalBaseUrl = _setting(
        "S3_PUBLIC_ENDPOINT_URL",
        None,
        expects="http://host:port or https://…",
        help="The host in links to the S3 service, if clients reach it by another name than the workers do.",
    )
    s3_presign_expires_seconds: int = _setting(
        "S3_PRESIGN_EXPIRES_SECONDS",
        "3600",
        ge=1,
        le=MAX_LINK_LIFE_SECONDS,
        expects="a whole number of seconds from 1 to 604800",
        help="Lifetime of a link to the S3 service; never longer than that of the credentials that sign it.",
    )
    s3_addressing_style: Literal["auto", "virtual", "path"] = _setting(
        "S3_ADDRESSING_STYLE",
        "auto",
        expects="auto, virtual or path",
        help="auto: the bucket in the host name on AWS, in the path on a custom endpoint.",
    )
    max_file_size_mb: int = _setting(
        "MAX_FILE_SIZE_MB",
        "2000",
        ge=1,
        le=1_000_000,
        expects="a whole number of MiB from 1 to 1000000",
        help="The size limit of an upload, in MiB.",
    )
    max_video_terapixels: float = _setting(
        "MAX_VIDEO_TERAPIXELS",
        "4",
        ge=0.001,
        le=1_000_000,
        expects="a number from 0.001 to 1000000, such as 4 or 0.5",
        help="What one job may decode, in 10^12 pixels: 4 hours of 3840x2160 at 30 frames per second are 3.6.",
    )
    max_result_mb: int = _setting(
        "MAX_RESULT_MB",
        "500",
        ge=1,
        le=1_000_000,
        expects="a whole number of MiB from 1 to 1000000",
        help="The size limit of a job's result, in MiB; at least twice the size of its video in any case.",
    )
    redis_url: ParsedRedisUrl = _setting(
        "REDIS_URL",
        DEFAULT_REDIS_URL,
        expects=_REDIS_URLS,
        help="Job records and, unless CELERY_BROKER_URL is set, the Celery broker."
        " Unset: the server that `clipzy up` runs from CLIPZY_DATA_DIR, otherwise the default.",
    )
    celery_broker_url: OptionalRedisUrl = _setting(
        "CELERY_BROKER_URL",
        None,
        expects=_REDIS_URLS,
        help="Another Redis for the Celery broker; unset: the same as REDIS_URL.",
    )
    data_dir: AbsolutePath = _setting(
        "CLIPZY_DATA_DIR",
        "./.clipzy",
        expects="the path of a directory",
        help="This machine's own data: embedded Redis, its password, scratch. Never on the shared mount.",
    )
    work_dir: Path = _setting(
        "WORK_DIR",
        "",
        expects="the path of a directory",
        help="Scratch for jobs. Default: CLIPZY_DATA_DIR/work.",
    )
    max_concurrent_jobs: int = _setting(
        "MAX_CONCURRENT_JOBS",
        "1",
        ge=1,
        le=256,
        expects="a whole number from 1 to 256",
        help="Jobs one worker runs at a time; decoder threads are shared among them.",
    )
    max_unfinished_jobs: int = _setting(
        "MAX_UNFINISHED_JOBS",
        "10000",
        ge=1,
        le=1_000_000,
        expects="a whole number from 1 to 1000000",
        help="Jobs that wait or are processed in the whole deployment; beyond it new ones are refused.",
    )
    owner_max_unfinished_jobs: int = _setting(
        "OWNER_MAX_UNFINISHED_JOBS",
        "0",
        ge=0,
        le=1_000_000,
        expects="a whole number from 0 to 1000000",
        help="Jobs of one owner that wait or are processed; beyond it new ones are refused. 0: any number.",
    )
    owner_max_running_jobs: int = _setting(
        "OWNER_MAX_RUNNING_JOBS",
        "0",
        ge=0,
        le=1_000_000,
        expects="a whole number from 0 to 1000000",
        help="Jobs of one owner that are processed at a time; others wait, and let those of other owners pass. 0: any"
        " number.",
    )
    owner_max_uploads: int = _setting(
        "OWNER_MAX_UPLOADS",
        "0",
        ge=0,
        le=1_000_000,
        expects="a whole number from 0 to 1000000",
        help="Uploads of one owner at a time; beyond it new ones are refused. 0: any number.",
    )
    owner_max_stored_mb: int = _setting(
        "OWNER_MAX_STORED_MB",
        "0",
        ge=0,
        le=1_000_000_000,
        expects="a whole number of MiB from 0 to 1000000000",
        help="Videos and results of one owner in storage, in MiB; beyond it uploads and jobs are refused. 0: no limit.",
    )
    worker_queues: Queues = _setting(
        "WORKER_QUEUES",
        "interactive,batch",
        expects="interactive, batch, or both separated by a comma",
        help="The queues whose jobs a worker takes, in the order in which it prefers them.",
    )
    processing_timeout_seconds: int = _setting(
        "PROCESSING_TIMEOUT_SECONDS",
        "3600",
        ge=1,
        le=604_800,
        expects="a whole number of seconds from 1 to 604800",
        help="Wall clock of one attempt; past it the job fails with JOB_TIMEOUT.",
    )
    job_lease_seconds: int = _setting(
        "JOB_LEASE_SECONDS",
        "60",
        ge=2,
        le=3600,
        expects="a whole number of seconds from 2 to 3600",
        help="How long a worker keeps its job without a heartbeat; heartbeats are sent four times as often.",
    )
    result_ttl_hours: int = _setting(
        "RESULT_TTL_HOURS",
        "0",
        ge=0,
        le=1_000_000,
        expects="a whole number of hours from 0 to 1000000",
        help="How long a result is kept after its job has finished; 0: forever.",
    )
    upload_expires_hours: int = _setting(
        "UPLOAD_EXPIRES_HOURS",
        "24",
        ge=1,
        le=720,
        expects="a whole number of hours from 1 to 720",
        help="How long after its last byte an unfinished upload over several requests is removed.",
    )
    upload_ttl_hours: int = _setting(
        "UPLOAD_TTL_HOURS",
        "0",
        ge=0,
        le=1_000_000,
        expects="a whole number of hours from 0 to 1000000",
        help="How long an upload is kept, and longer only while an unfinished job needs it; 0: forever.",
    )
    allow_url_import: bool = _setting(
        "ALLOW_URL_IMPORT",
        "false",
        expects="true or false",
        help="Whether a job may name the URL of its video, which a worker then fetches; see docs/uploads.md.",
    )
    webhook_secrets: WebhookSecrets = _setting(
        "WEBHOOK_SECRETS",
        None,
        expects="one or two secrets, separated by a comma: whsec_ and 24 to 64 random bytes in base64",
        help="What deliveries to webhooks are signed with: one or two whsec_…, separated by a comma. Unset: a job can"
        " name no webhook_url; see docs/webhooks.md.",
    )
    allow_private_addresses: Networks = _setting(
        "ALLOW_PRIVATE_ADDRESSES",
        None,
        expects="true, or networks such as 10.1.0.0/16 or 192.168.7.20, separated by commas",
        help="Networks to which imports and webhooks may go although they are not public; true: all. To link-local"
        " addresses they never may.",
    )
    drain: Literal["requeue", "wait"] = _setting(
        "CLIPZY_DRAIN",
        "requeue",
        expects="requeue or wait",
        help="What a worker does with its running jobs when it is stopped: requeue returns them to the queue,"
        " wait finishes them first.",
    )
    sandbox: Literal["required", "best-effort", "off"] = _setting(
        "CLIPZY_SANDBOX",
        "best-effort",
        expects="required, best-effort or off",
        help="The sandbox of the process that decodes videos: no network, no other file, few system calls. required: a"
        " worker does not start if a layer is unavailable; best-effort: it logs that; see docs/media-safety.md.",
    )
    cors_origins: Origins = _setting(
        "CORS_ORIGINS",
        None,
        expects="origins such as https://app.example.com, separated by commas",
        help="Pages of these exact origins may call the API from a browser; separated by commas.",
    )
    allowed_hosts: HostNames = _setting(
        "ALLOWED_HOSTS",
        None,
        expects="host names such as clips.example.com, separated by commas, or *",
        help="Host names that clients may use, beside localhost, every IP address and the host of PUBLIC_URL; separated"
        " by commas. *: all, which gives up the protection against DNS rebinding.",
    )
    auth: Literal["keys", "none"] | None = _setting(
        "CLIPZY_AUTH",
        None,
        expects="keys or none",
        help="keys: calls need an API key, which `clipzy keys create` makes; none: everyone who reaches the front end"
        " may do everything. Unset: none on a loopback address, and on another a front end does not start.",
    )
    trusted_proxies: int = _setting(
        "TRUSTED_PROXIES",
        "0",
        ge=0,
        le=10,
        expects="a whole number of proxies from 0 to 10",
        help="How many proxies are in front of the front end, whose X-Forwarded headers are trusted.",
    )
    public_url: OptionalBaseUrl = _setting(
        "PUBLIC_URL",
        None,
        expects="http://host or https://host/path",
        help="The base for absolute links; unset: links to the API are relative.",
    )
    clipzy_url: BaseUrl = _setting(
        "CLIPZY_URL",
        "http://127.0.0.1:8000",
        expects="http://host:port or https://…",
        help="Where commands such as `clipzy submit` find the front end.",
    )
    api_key: str | None = _setting(
        "CLIPZY_API_KEY",
        None,
        pattern=r"^clz_[0-9A-Za-z]+_[0-9A-Za-z]+$",
        expects="a key as `clipzy keys create` prints it, clz_…",
        help="The API key that such commands send, where the front end asks for one.",
    )
    log_level: LogLevel = _setting(
        "LOG_LEVEL", "INFO", expects="DEBUG, INFO, WARNING or ERROR", help="The lowest severity that is logged."
    )
    log_format: Literal["text", "json"] = _setting(
        "LOG_FORMAT", "text", expects="text or json", help="json: one JSON object per line."
    )

    @field_validator("work_dir")
    @classmethod
    def _default_in_data_dir(cls, path: Path, info: Any) -> Path:
        if path == Path() and "data_dir" in info.data:
            return Path(info.data["data_dir"]) / "work"
        return Path(os.path.abspath(path))

    @property
    def max_file_size_bytes(self) -> int:
        return self.max_file_size_mb << 20

    @property
    def max_decoded_pixels(self) -> int:
        return round(self.max_video_terapixels * 1e12)

    def max_result_bytes(self, *, source_size_bytes: int) -> int:
        """What the result of a job over a video of that size may have."""
        return max(self.max_result_mb << 20, 2 * source_size_bytes)

    @property
    def broker_url(self) -> RedisUrl:
        """The Redis of the Celery broker."""
        return self.celery_broker_url or self.redis_url

    def redis_urls(self) -> dict[str, RedisUrl]:
        """Every configured Redis, by the setting that names it."""
        broker = {"CELERY_BROKER_URL": self.celery_broker_url} if self.celery_broker_url else {}
        return {"REDIS_URL": self.redis_url, **broker}

    def contradictions(self) -> list[str]:
        """Settings that are each allowed but not together: one line for each mistake, with the remedy."""
        found = []
        if self.storage_type == "s3" and self.s3_bucket_name is None:
            found.append("S3_BUCKET_NAME is missing, which STORAGE_TYPE=s3 needs. Set it to the name of a bucket.")
        is_shared = self.storage_type == "local" and self.local_storage_shared
        if is_shared and self.data_dir.is_relative_to(self.local_storage_path):
            found.append(
                f"CLIPZY_DATA_DIR={self.data_dir} lies on the shared storage {self.local_storage_path}, where other"
                " machines would use it as well. Set it to a directory of this machine."
            )
        return found


def fields() -> dict[str, FieldInfo]:
    """Every setting by the name of its environment variable, in the order of ``.env.example``."""
    return {str(field.alias): field for field in Settings.model_fields.values()}


def names() -> tuple[str, ...]:
    """The environment variable of every setting."""
    return tuple(fields())
