"""`clipzy storage check`: lists what is missing in storage, damaged or orphaned. Changes nothing."""

import json
from collections.abc import Iterator
from dataclasses import asdict

import click

from clipzy_storage import keys
from clipzy_storage.backends import open_storage
from clipzy_storage.backends.base import StorageBackend, read_bytes
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import NotFound, QueueUnavailable, StorageError, StorageUnavailable
from clipzy_storage.guard import members
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.maintenance import consistency_check
from clipzy_storage.maintenance.consistency_check import Finding, StorageCheck
from clipzy_storage.redis_client import RedisDatabase

COMPARED = "compared"


def storage_check(settings: Settings, *, deep: bool, as_json: bool) -> int:
    """Print every finding; 0 if there is none, otherwise 1.

    Raises:
        ConfigurationError, StorageUnavailable: the storage cannot be checked.
    """
    check = _Check(settings, deep=deep)
    found = []
    for finding in check.findings():
        found.append(finding)
        if not as_json:  # immediately: a large storage takes a while
            click.echo(f"{finding.kind.value:<8}  {finding.key}  {finding.why}")
    click.echo(check.as_json(found) if as_json else check.summary(found))
    return 1 if found else 0


class _Check:
    """One comparison of the files in storage with its records and, if Redis answers, with those in Redis."""

    def __init__(self, settings: Settings, *, deep: bool) -> None:
        self._settings = settings
        self._storage = open_storage(settings)  # not prepared: that would write, and create a missing directory
        self._storage_id = _identity_of(self._storage, settings)
        self._inspection = StorageCheck(self._storage, deep=deep)
        self._unfinished = 0
        self._redis = COMPARED

    def findings(self) -> Iterator[Finding]:
        """Every finding. The summary is complete when all have been taken."""
        yield from self._inspection.findings()
        self._unfinished = self._storage.count_incomplete()
        try:
            yield from self._compared_with_redis()
        except QueueUnavailable as error:
            self._redis = str(error)

    def summary(self, found: list[Finding]) -> str:
        jobs, uploads = _counted(self._inspection.jobs, "job"), _counted(self._inspection.uploads, "upload")
        findings = _counted(len(found), "finding") if found else "no findings"
        unfinished = _counted(self._unfinished, "unfinished file")
        lines = [f"{findings} in {jobs} and {uploads} in {self._storage.location}; {unfinished}"]
        if self._inspection.foreign:
            lines.append(f"{_counted(self._inspection.foreign, 'foreign file')} ignored: Clipzy did not write them")
        if self._redis != COMPARED:
            lines.append(f"not compared with Redis: {self._redis}")
        return "\n".join(lines)

    def as_json(self, found: list[Finding]) -> str:
        whole = {
            "findings": [asdict(finding) for finding in found],
            "jobs": self._inspection.jobs,
            "uploads": self._inspection.uploads,
            "unfinished": self._unfinished,
            "foreign": self._inspection.foreign,
            "redis": self._redis,
        }
        return json.dumps(whole, indent=1)

    def _compared_with_redis(self) -> Iterator[Finding]:
        redis = RedisDatabase(self._settings.redis_url)
        pinned = members.pinned_storage_id(redis)
        if pinned not in (None, self._storage_id):
            self._redis = f"it belongs to storage {pinned}, and this is {self._storage_id}"
            return
        yield from consistency_check.compare_with_redis(self._storage, JobAdmin(redis))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + "s" * (count != 1)


def _identity_of(storage: StorageBackend, settings: Settings) -> str:
    try:
        return read_bytes(storage, keys.STORAGE_ID).decode().strip()
    except StorageError as error:
        reason = f"it has no {keys.STORAGE_ID}" if isinstance(error, NotFound) else str(error).rstrip(".")
        name = "LOCAL_STORAGE_PATH" if settings.storage_type == "local" else "S3_BUCKET_NAME"
        way = f"Set {name} to the storage that Clipzy uses, or make that available."
        raise StorageUnavailable(f"{storage.location} cannot be checked: {reason}. {way}") from error
