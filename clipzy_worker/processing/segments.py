"""Keeps the segments of a video that is being rendered in storage, where an attempt after a lost one finds them.

They only save work: whatever goes wrong here is logged, and the job goes on without them.
"""

import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import BinaryIO, Self

import structlog

from clipzy_storage import keys
from clipzy_storage.backends.base import READ_BLOCK_BYTES, Storage
from clipzy_storage.errors import AlreadyExists, CancellationRequested, Damaged, LostJob, NotFound, StorageError
from clipzy_storage.failpoints import failpoint
from clipzy_storage.jobs.segments import stored_segments
from clipzy_storage.log_events import SEGMENT_FETCHED, SEGMENT_RENDERED
from clipzy_worker.errors import DeadlineExceeded, PermanentFailure
from clipzy_worker.sandbox.request import SEGMENTS

# A worker that is stopped has a few seconds to release its job.
FLUSH_SECONDS = 2.0
_ABANDON_SECONDS = 1.0
# After these no attempt follows, or another process is at it already.
_FINAL = (PermanentFailure, CancellationRequested, DeadlineExceeded, LostJob)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # without O_NONBLOCK a fifo would wait for its writer

log = structlog.stdlib.get_logger(__name__)


class _Abandoned(Exception):
    """The segments are not needed any more."""


def fetch_segments(
    storage: Storage, job_id: str, out_directory: Path, *, max_bytes: int, on_progress: Callable[[], object]
) -> None:
    """Lay the segments that earlier attempts have stored into ``SEGMENTS`` below ``out_directory``, which it creates.

    A damaged one is deleted from storage. No more than ``max_bytes`` are fetched. ``on_progress`` is called repeatedly,
    and may raise.
    """
    directory = out_directory / SEGMENTS
    fetched = fetched_bytes = 0
    try:
        directory.mkdir()
        for segment, blob in stored_segments(storage, keys.segments(job_id)):
            path = directory / f"{segment.name}.mp4"
            if path.exists() or fetched_bytes + blob.size_bytes > max_bytes:
                continue
            if _is_fetched(storage, blob.key, path, sha256=segment.sha256, on_progress=on_progress):
                fetched, fetched_bytes = fetched + 1, fetched_bytes + blob.size_bytes
    except (StorageError, OSError) as error:
        log.warning("segment.not_fetched", reason=str(error))
    if fetched:
        log.info(SEGMENT_FETCHED, count=fetched, size_bytes=fetched_bytes)


def _is_fetched(storage: Storage, key: str, path: Path, *, sha256: str, on_progress: Callable[[], object]) -> bool:
    """Raises ``StorageError`` but for a segment that is damaged or gone, ``OSError``, what ``on_progress`` raises."""
    digest = hashlib.sha256()
    try:
        with storage.open(key) as source, path.open("xb") as target:
            while block := source.read(READ_BLOCK_BYTES):
                on_progress()
                digest.update(block)
                target.write(block)
        if digest.hexdigest() == sha256:
            return True
        log.warning("segment.damaged", key=key)
        storage.delete(key)
    except (NotFound, Damaged) as error:
        log.warning("segment.damaged", key=key, reason=str(error))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)
    return False


class SegmentUploads:
    """Stores the segments of one job in a thread, from ``with`` on, while the media process goes on.

    When the block is left, what is still to be stored is stored if another attempt may follow, for ``FLUSH_SECONDS`` at
    most, and given up otherwise.
    """

    def __init__(self, storage: Storage, job_id: str, out_directory: Path, *, max_bytes: int) -> None:
        self._storage, self._job_id = storage, job_id
        self._directory = out_directory / SEGMENTS
        self._left_bytes = max_bytes
        self._names: SimpleQueue[str | None] = SimpleQueue()
        self._is_abandoned = threading.Event()
        context = copy_context()  # the thread's events are about the same job
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="segments", daemon=True)

    def add(self, names: Iterable[str]) -> None:
        """Have these segments stored, which are whole; returns at once."""
        for name in names:
            log.info(SEGMENT_RENDERED, name=name)
            self._names.put(name)

    def wait(self, seconds: float) -> None:
        """Wait for the end of the thread, for so long at most."""
        self._thread.join(seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._names.put(None)
        if kind is not None and not issubclass(kind, _FINAL):
            self.wait(FLUSH_SECONDS)
        self._is_abandoned.set()
        self.wait(_ABANDON_SECONDS)

    def _run(self) -> None:
        with suppress(_Abandoned):
            while name := self._names.get():
                self._store_if_possible(name)

    def _store_if_possible(self, name: str) -> None:
        """Raises ``_Abandoned``."""
        try:
            self._store(name)
        except AlreadyExists:  # an earlier attempt has encoded the same bytes
            log.debug("segment.stored_before", name=name)
        except (StorageError, OSError) as error:
            log.warning("segment.not_stored", name=name, reason=str(error))
        except _Abandoned:
            raise
        except Exception:
            log.exception("segment.failed")

    def _store(self, name: str) -> None:
        with _opened_segment(self._directory, name) as (stream, size_bytes):
            self._left_bytes -= size_bytes
            if self._left_bytes < 0:
                raise StorageError("the segments have more bytes than the result may have")
            key = keys.segment(self._job_id, name, self._digest(stream, size_bytes))
            with self._storage.open_writer(key, content_type="video/mp4") as writer:
                for block in self._blocks(stream, size_bytes):
                    writer.write(block)
                if keys.segment(self._job_id, name, writer.sha256) != key:
                    raise StorageError("it was changed after it was finished")
                writer.publish()
        log.debug("segment.stored", name=name, size_bytes=size_bytes)
        failpoint("segment-stored")

    def _digest(self, stream: BinaryIO, size_bytes: int) -> str:
        digest = hashlib.sha256()
        for block in self._blocks(stream, size_bytes):
            digest.update(block)
        return digest.hexdigest()

    def _blocks(self, stream: BinaryIO, size_bytes: int) -> Iterator[bytes]:
        """The file from its beginning, however much is appended to it meanwhile. Raises ``_Abandoned``."""
        stream.seek(0)
        while size_bytes and (block := stream.read(min(READ_BLOCK_BYTES, size_bytes))):
            if self._is_abandoned.is_set():
                raise _Abandoned
            size_bytes -= len(block)
            yield block


@contextmanager
def _opened_segment(directory: Path, name: str) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size. The media process still runs and may be hostile, so no link is followed.

    Raises ``OSError``.
    """
    parent = os.open(directory, _DIRECTORY)
    try:
        file = os.open(f"{name}.mp4", _READ, dir_fd=parent)
    finally:
        os.close(parent)
    with os.fdopen(file, "rb") as stream:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("it is no regular file")
        yield stream, found.st_size
