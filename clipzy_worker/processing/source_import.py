"""Fetches the video of a job from its URL into storage, where it becomes a video like any that was uploaded.

The file is written once and whole, then its record. An attempt that finds either goes on from there, so that the loss
of a worker or of Redis costs at most the download. What is left of it without a record is garbage after a day.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageWriter
from clipzy_storage.backends.content_types import content_type_of
from clipzy_storage.container_sniffing import SNIFF_BYTES, container_of
from clipzy_storage.errors import (
    AlreadyExists,
    NotFound,
    QueueUnavailable,
    QuotaExceeded,
    StorageError,
    UrlRefused,
)
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs import durable_records
from clipzy_storage.jobs.completion import retry_while_unavailable
from clipzy_storage.models.records import Job, Video
from clipzy_storage.outbound.addresses import AddressPolicy
from clipzy_storage.outbound.target_url import TargetUrl
from clipzy_worker.errors import ImportFailed
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.processing.download import Download, StartedOver

REDIS_TIMEOUT_SECONDS = 600  # a whole download is worth waiting for Redis


def imported(ctx: WorkerContext, job: Job, *, on_progress: Callable[[float], object]) -> Video:
    """The job's video, fetched unless an earlier attempt has done so.

    ``on_progress`` is called several times a second with what is done of it, 0 to 1, and may raise to stop.

    Raises ``ImportFailed``, ``StorageError``, ``QueueUnavailable``.
    """
    return _Import(ctx, job, on_progress).run()


class _Import:
    def __init__(self, ctx: WorkerContext, job: Job, on_progress: Callable[[float], object]) -> None:
        self._ctx, self._job, self._on_progress = ctx, job, on_progress

    def run(self) -> Video:
        return self._stored() or self._fetched()

    def _stored(self) -> Video | None:
        """What another attempt has left, recorded now if it was not; the digest of that is left to the analysis."""
        storage, video_id = self._ctx.storage, self._job.video_id
        with suppress(NotFound):
            return durable_records.read_video(storage, video_id)
        file = durable_records.find_source(storage, video_id)
        return self._recorded(self._video(file.key, file.size_bytes, sha256=None)) if file else None

    def _fetched(self) -> Video:
        download = self._download()
        while True:
            with suppress(StartedOver):
                return self._received(download)

    def _download(self) -> Download:
        settings = self._ctx.settings
        if not settings.allow_url_import:
            raise ImportFailed("This service does not import videos by URL (ALLOW_URL_IMPORT).")
        try:
            url = TargetUrl.parse(self._job.source_url or "")
        except UrlRefused as error:
            raise ImportFailed(f"The URL is refused: {error}.") from None
        policy = AddressPolicy(settings.allow_private_addresses)
        return Download(url, policy, max_bytes=settings.max_file_size_bytes)

    def _received(self, download: Download) -> Video:
        with closing(download.blocks(on_wait=lambda: self._on_progress(download.fraction))) as blocks:
            head = _head_of(blocks)
            container = container_of(head[:SNIFF_BYTES])
            if container is None:
                raise ImportFailed("What the URL leads to is not mp4, mov, avi, mkv or webm, whatever its name says.")
            self._check_quota(download)
            key = keys.upload(self._job.video_id, container)
            with self._ctx.storage.open_writer(key, content_type=content_type_of(key)) as writer:
                writer.write(head)
                for block in blocks:
                    writer.write(block)
                return self._published(writer, key)

    def _published(self, writer: StorageWriter, key: str) -> Video:
        video = self._video(key, writer.size_bytes, sha256=writer.sha256)
        with self._counted(video):
            self._on_progress(1.0)
            try:
                writer.publish()
            except AlreadyExists:  # by an attempt that was taken for lost
                if (stored := self._stored()) is None:
                    raise NotFound(key) from None
                return stored
            failpoint("import-published")
            return self._written(video)

    def _recorded(self, video: Video) -> Video:
        with self._counted(video):
            return self._written(video)

    def _written(self, video: Video) -> Video:
        """With its record; if another attempt has written that, as it has it. Raises ``NotFound``."""
        try:
            durable_records.write_video(self._ctx.storage, video)
        except AlreadyExists:
            return durable_records.read_video(self._ctx.storage, video.video_id)
        failpoint("import-recorded")
        return video

    @contextmanager
    def _counted(self, video: Video) -> Iterator[None]:
        """Count its bytes as its owner's before it exists, and not if it comes to nothing in the block."""
        accounts, admin = self._ctx.store.accounts, self._ctx.admin
        with _quota_translated():
            retry_while_unavailable(lambda: accounts.add_video(video), timeout_seconds=REDIS_TIMEOUT_SECONDS)
        try:
            yield
        except BaseException:
            with suppress(QueueUnavailable, StorageError):  # then the weekly count corrects it
                if not self._ctx.storage.exists(keys.video_record(video.video_id)):  # by another attempt
                    admin.set_stored(video.owner, video.video_id, 0)
            raise

    def _check_quota(self, download: Download) -> None:
        """Before everything is fetched, as far as the size is known by then."""
        size_bytes = download.size_bytes or download.received_bytes
        with _quota_translated(), suppress(QueueUnavailable):
            self._ctx.store.accounts.check_stored(self._job.owner, key_text="", size_bytes=size_bytes)

    def _video(self, key: str, size_bytes: int, *, sha256: str | None) -> Video:
        return Video(
            owner=self._job.owner,
            video_id=self._job.video_id,
            filename=self._job.filename,
            key=key,
            container=keys.container_of(key),
            size_bytes=size_bytes,
            sha256=sha256,
            uploaded_at=datetime.now(UTC),
        )


@contextmanager
def _quota_translated() -> Iterator[None]:
    try:
        yield
    except QuotaExceeded as error:
        raise ImportFailed(f"The video was not kept: {error}") from None


def _head_of(blocks: Iterator[bytes]) -> bytes:
    """Enough of the first bytes to recognise the container."""
    head = b""
    for block in blocks:
        head += block
        if len(head) >= SNIFF_BYTES:
            break
    return head
