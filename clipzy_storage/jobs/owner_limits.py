"""What one owner may have at a time, and what it has."""

from dataclasses import dataclass
from typing import Self

from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import QuotaExceeded


@dataclass(frozen=True, kw_only=True)
class OwnerLimits:
    """None is no limit."""

    unfinished_jobs: int | None = None
    running_jobs: int | None = None
    stored_bytes: int | None = None
    uploads: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            unfinished_jobs=settings.owner_max_unfinished_jobs or None,
            running_jobs=settings.owner_max_running_jobs or None,
            stored_bytes=(settings.owner_max_stored_mb << 20) or None,
            uploads=settings.owner_max_uploads or None,
        )


@dataclass(frozen=True, kw_only=True)
class OwnerUsage:
    """What an owner has now."""

    unfinished_jobs: int
    running_jobs: int
    stored_bytes: int
    uploads: int


def any_if_none(limit: int | None) -> str | int:
    """The limit as the scripts take it."""
    return "" if limit is None else limit


def too_many_unfinished(limit: int, count: int) -> QuotaExceeded:
    """The refusal of one more job."""
    return QuotaExceeded(
        f"OWNER_MAX_UNFINISHED_JOBS allows {limit} jobs that wait or are processed, and there are {count}."
        " Try again when some have finished.",
        limit="unfinished_jobs",
    )


def too_much_stored(limit_bytes: int, bytes_stored: int) -> QuotaExceeded:
    """The refusal of one more video, or of one more job."""
    return QuotaExceeded(
        f"OWNER_MAX_STORED_MB allows {limit_bytes >> 20} MiB of videos and results, and there are already"
        f" {bytes_stored / 2**20:.1f}. Delete some videos or jobs.",
        limit="stored_bytes",
    )


def too_many_uploads(limit: int, count: int) -> QuotaExceeded:
    """The refusal of one more upload."""
    return QuotaExceeded(
        f"OWNER_MAX_UPLOADS allows {limit} uploads at a time, and there are {count}. Try again when one has ended.",
        limit="uploads",
    )
