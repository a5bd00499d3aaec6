"""Why the guard does not admit a process, with what was found and what to do, for the operator. Pure."""

from typing import Literal

from clipzy_storage.config.settings import Settings
from clipzy_storage.guard.members import ROLES, Member

THREE_WAYS_OUT = (
    "Either run one worker (on one machine `clipzy up --workers N` runs several), or mount one shared directory on"
    " every machine and set LOCAL_STORAGE_SHARED=true for all of them, or use STORAGE_TYPE=s3."
)


class Refused(Exception):
    """The guard does not admit this process; the text says what was found, why it loses files and what to do."""


class OtherStorage(Refused):
    """The deployment uses another storage than this process."""


class RetryLater(Exception):
    """The guard cannot decide before ``seconds`` have passed."""

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


def refusal_by_settings(settings: Settings) -> str | None:
    """Rule 1: what the settings alone forbid, or None."""
    if settings.storage_type != "local" or settings.worker_count == 1 or settings.local_storage_shared:
        return None
    return (
        f"WORKER_COUNT={settings.worker_count} with STORAGE_TYPE=local and LOCAL_STORAGE_SHARED not true: workers that"
        f" do not see the same files lose each other's uploads and results. {THREE_WAYS_OUT}"
    )


def refusal_by_member(verdict: Literal["identity", "occupied"], this: Member, other: Member) -> str:
    """Rules 2 and 3: why ``this`` cannot run as long as ``other`` does."""
    if verdict == "identity":
        return (
            f"This {ROLES[this.role]}'s storage {this.storage} (id {this.storage_id}) is not the one in use: {other}"
            f" has id {other.storage_id}. On different storages files go missing: what one writes the other never sees."
            " Point both at the same one (check STORAGE_TYPE, S3_BUCKET_NAME, LOCAL_STORAGE_PATH, the directory you"
            f" start in, and whether the share is mounted). {THREE_WAYS_OUT}"
        )
    declared_by = "neither of them" if this.exclusive and other.exclusive else "only one of them"
    return (
        f"Another worker is already running: {other}. Local storage is declared shared by {declared_by}, so they"
        f" would lose each other's files. {THREE_WAYS_OUT}"
    )


def refusal_by_verification(storage: str, peer: Member, found: str) -> str:
    """Rule 4: ``peer`` and the process that uses ``storage`` do not see the same files, as was ``found``."""
    return (
        f"The storage {storage} is declared shared, but is not the same for {peer}: {found}. On different storages"
        f" files go missing: what one writes the other never sees. {THREE_WAYS_OUT}"
    )
