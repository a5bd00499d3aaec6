"""Links in answers and events to files in storage, which open without an API key."""

from datetime import UTC, datetime, timedelta

from clipzy_storage import keys
from clipzy_storage.access.link_secrets import LinkSecretStore
from clipzy_storage.access.link_signatures import signed_query
from clipzy_storage.backends.base import Storage
from clipzy_storage.config.settings import Settings
from clipzy_storage.models.records import Job, Link, Status


class FileLinks:
    """Makes links, each signed anew unless it does not expire. Every method may raise ``StorageError``."""

    def __init__(self, settings: Settings, storage: Storage, secrets: LinkSecretStore) -> None:
        self._settings = settings
        self._storage = storage
        self._secrets = secrets

    def to(self, key: str) -> Link:
        """Where a client fetches the file."""
        link = self._storage.link(key)
        return self.at(link.url, signs=key) if link.url.startswith("/") else link

    def at(self, path: str, *, signs: str) -> Link:
        """A link to this path of a front end; where keys are asked for, it is signed, by the name of what it opens."""
        if self._settings.auth != "keys":
            return Link(self._absolute(path), None)
        now = datetime.now(UTC)
        expires_at = now + timedelta(seconds=self._settings.s3_presign_expires_seconds)
        query = signed_query(signs, secret=self._secrets.secrets().signing(now), expires_at=expires_at)
        return Link(self._absolute(f"{path}?{query}"), expires_at.replace(microsecond=0))

    def to_result_of(self, job: Job) -> Link | None:
        """Where a client fetches the job's ``output.json``; None if there is none."""
        if job.status is not Status.COMPLETED or job.expired:
            return None
        return self.to(keys.result_index(job.job_id))

    def _absolute(self, path: str) -> str:
        return (self._settings.public_url or "") + path
