"""What every owner has, by the counts in Redis, and whether it may have more."""

from typing import Any

from clipzy_storage.jobs.owner_limits import (
    OwnerLimits,
    OwnerUsage,
    any_if_none,
    too_many_unfinished,
    too_many_uploads,
    too_much_stored,
)
from clipzy_storage.jobs.scripts import run_script
from clipzy_storage.jobs.types import IdempotencyKey, Submitted
from clipzy_storage.models.records import Upload, Video
from clipzy_storage.redis_client import RedisDatabase, translated


class OwnerAccounts:
    """The counts of all owners, with the limits of each. Every method may raise ``QueueUnavailable``."""

    def __init__(self, redis: RedisDatabase, limits: OwnerLimits) -> None:
        self._redis = redis
        self.limits = limits

    def usage(self, owner: str) -> OwnerUsage:
        """What the owner has now."""
        queued, running, stored, uploads = self._run("owner_usage", owner)
        return OwnerUsage(unfinished_jobs=queued + running, running_jobs=running, stored_bytes=stored, uploads=uploads)

    def check_unfinished_jobs(self, owner: str) -> None:
        """Raises ``QuotaExceeded`` if the owner may have no further job now."""
        if (limit := self.limits.unfinished_jobs) is None:
            return
        count = self.usage(owner).unfinished_jobs
        if count >= limit:
            raise too_many_unfinished(limit, count)

    def check_stored(self, owner: str, *, key_text: str, size_bytes: int) -> None:
        """Raises ``QuotaExceeded`` if the owner may not store so much more, unless its Idempotency-Key is known."""
        if (limit := self.limits.stored_bytes) is None:
            return
        stored = self.usage(owner).stored_bytes
        if stored + size_bytes <= limit:
            return
        with translated():
            if key_text and self._redis.client.exists(self._redis.key(f"idem:{owner}:{key_text}")):
                return
        raise too_much_stored(limit, stored)

    def add_video(self, video: Video, *, key: IdempotencyKey | None = None) -> Submitted:
        """Count the video's bytes as its owner's, and keep for a day which one was uploaded under this key.

        ``first_id`` is the first one under it; a further one is not counted.

        Raises:
            IdempotencyMismatch: the key was used before, for another request.
            QuotaExceeded: the owner may not have that much stored, and the key was not used before.
        """
        self._redis.connect()
        text, fingerprint = (key.text, key.fingerprint) if key else ("", "")
        limit = any_if_none(self.limits.stored_bytes)
        args = (video.owner, text, fingerprint, video.video_id, video.size_bytes, limit)
        verdict, *rest = self._run("add_video", *args)
        if verdict == "stored":
            raise too_much_stored(self.limits.stored_bytes or 0, rest[0])
        return Submitted.first(verdict, *rest)

    def add_upload(self, upload: Upload, *, expires_seconds: float) -> None:
        """Count an upload in progress, and its bytes as if they had arrived. Raises ``QuotaExceeded``."""
        limits = any_if_none(self.limits.uploads), any_if_none(self.limits.stored_bytes)
        ttl_ms = int(expires_seconds * 1000)
        verdict, *rest = self._run("add_upload", upload.owner, upload.upload_id, upload.size_bytes, ttl_ms, *limits)
        if verdict == "uploads":
            raise too_many_uploads(self.limits.uploads or 0, rest[0])
        if verdict == "stored":
            raise too_much_stored(self.limits.stored_bytes or 0, rest[0])

    def hold_upload(self, upload: Upload, *, expires_seconds: float) -> None:
        """Count it for so long from now on."""
        self._run("hold_upload", upload.owner, upload.upload_id, int(expires_seconds * 1000), "")

    def end_upload(self, upload: Upload, *, size_bytes: int) -> None:
        """Count it no more; what it has become takes so many bytes, 0 if it is nothing."""
        self._run("set_stored", upload.owner, upload.upload_id, size_bytes, "")
        self._run("end_upload", upload.owner, upload.upload_id)

    def _run(self, script: str, *args: str | int) -> Any:
        return run_script(self._redis, script, *args)
