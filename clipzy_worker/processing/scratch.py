"""The scratch directories of attempts, and the removal of those that lost workers left behind."""

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from clipzy_storage.errors import ConfigurationError, StorageFull, StorageUnavailable
from clipzy_storage.free_space import FreeSpace, free_space
from clipzy_storage.process import ProcessIdentity

# For artifacts and a reserve, besides a copy of the source video if one is made.
FREE_BYTES_NEEDED, FREE_INODES_NEEDED = 256 << 20, 1024
ABANDONED_AFTER_SECONDS = 3600
OUT = "out"

_OWNER = "owner.json"
_ATTEMPTS = 20  # a worker that is refused may remove the parent directories that it created
_IDENTITY = TypeAdapter(ProcessIdentity)

log = structlog.stdlib.get_logger(__name__)


@contextmanager
def attempt_directory(work_dir: Path, name: str, *, needed_bytes: int = FREE_BYTES_NEEDED) -> Iterator[Path]:
    """A directory for this process alone, with an empty ``out`` for the media process; removed at the end.

    Raises:
        StorageFull: less than ``needed_bytes``, or than ``FREE_INODES_NEEDED``, are free there.
        StorageUnavailable: it cannot be created.
    """
    directory = work_dir / name
    try:
        with _translated_errors():
            for _ in range(_ATTEMPTS):
                with suppress(FileNotFoundError):
                    _create(work_dir, directory, needed_bytes)
                    break
            else:
                _create(work_dir, directory, needed_bytes)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def check(work_dir: Path) -> StorageFull | None:
    """Raise ``ConfigurationError`` if no attempt could ever work there. A full disk is only logged, and returned.

    Leaves nothing behind, since the guard may still refuse this process.
    """
    missing = [directory for directory in (work_dir, *work_dir.parents) if not directory.exists()]
    try:
        with attempt_directory(work_dir, f"check-{os.urandom(8).hex()}"):
            pass
    except StorageFull as error:
        log.warning("scratch.full", reason=str(error))
        return error
    except StorageUnavailable as error:
        problem = f"WORK_DIR={work_dir} cannot be used: {error}. Set it to a directory that you can write to."
        raise ConfigurationError([problem]) from error
    finally:
        with suppress(OSError):  # another worker uses it meanwhile
            for directory in missing:
                directory.rmdir()
    return None


def sweep(work_dir: Path) -> int:
    """Remove the directories of processes that no longer exist; returns how many there were."""
    abandoned = [directory for directory in work_dir.glob("job_*") if _is_abandoned(directory)]
    for directory in abandoned:
        shutil.rmtree(directory, ignore_errors=True)
    if abandoned:
        log.info("scratch.swept", directories=len(abandoned))
    return len(abandoned)


def _create(work_dir: Path, directory: Path, needed_bytes: int) -> None:
    work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    free = free_space(work_dir)
    if free.lacks(size_bytes=needed_bytes, inodes=FREE_INODES_NEEDED):
        needed = FreeSpace(needed_bytes, FREE_INODES_NEEDED)
        raise StorageFull(f"WORK_DIR has {free} free, a job needs {needed}")
    directory.mkdir(mode=0o700)
    (directory / OUT).mkdir()
    (directory / _OWNER).write_text(json.dumps(ProcessIdentity.own().as_dict()))


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("WORK_DIR is full") from error
        raise StorageUnavailable(str(error.strerror)) from error


def _is_abandoned(directory: Path) -> bool:
    try:
        return _IDENTITY.validate_json((directory / _OWNER).read_bytes()).is_gone()
    except (OSError, ValidationError):
        # Created or removed at this moment, unless it has been so for long.
        with suppress(OSError):
            return time.time() - directory.stat().st_mtime > ABANDONED_AFTER_SECONDS
        return False
