"""The folders in which attempts work, and what dead workers left of theirs."""

import errno
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clipzy_storage.errors import ConfigurationError, StorageFull, StorageUnavailable
from clipzy_storage.process import ProcessIdentity

FREE_BYTES_NEEDED = 256 << 20  # stills and room to breathe; a copy of the source comes on top where one is made
OWNERLESS_FOR_SECONDS = 3600
OUT = "out"

_OWNER = "owner.json"
_TRIES = 20  # against other workers that are refused, and take back the folders that they made

log = logging.getLogger(__name__)


@contextmanager
def attempt_folder(work_dir: Path, name: str, *, needed_bytes: int = FREE_BYTES_NEEDED) -> Iterator[Path]:
    """A folder of this process' own, with an empty ``out`` in it for what a media process writes; gone at the end.

    Raises:
        StorageFull: less than ``needed_bytes`` are free there.
        StorageUnavailable: it cannot be made.
    """
    folder = work_dir / name
    try:
        with _translated():
            for _ in range(_TRIES):
                with suppress(FileNotFoundError):
                    _make(work_dir, folder, needed_bytes)
                    break
            else:
                _make(work_dir, folder, needed_bytes)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check(work_dir: Path) -> None:
    """Raise ``ConfigurationError`` where no attempt could ever work there; too little room may pass.

    Leaves nothing behind: this process may yet be refused.
    """
    made = [folder for folder in (work_dir, *work_dir.parents) if not folder.exists()]
    try:
        with attempt_folder(work_dir, f"check-{os.urandom(8).hex()}"):
            pass
    except StorageFull as error:
        log.warning("scratch.full: %s; jobs wait until there is room", error)
    except StorageUnavailable as error:
        problem = f"WORK_DIR={work_dir} cannot be used: {error}. Set it to a folder of yours."
        raise ConfigurationError([problem]) from error
    finally:
        with suppress(OSError):  # in use by others meanwhile
            for folder in made:
                folder.rmdir()


def _make(work_dir: Path, folder: Path, needed_bytes: int) -> None:
    work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    free_bytes = shutil.disk_usage(work_dir).free
    if free_bytes < needed_bytes:
        raise StorageFull(f"WORK_DIR has {free_bytes >> 20} MiB free, a job needs {needed_bytes >> 20} MiB")
    folder.mkdir(mode=0o700)
    (folder / OUT).mkdir()
    (folder / _OWNER).write_text(json.dumps(ProcessIdentity.own().as_dict()))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("WORK_DIR is full") from error
        raise StorageUnavailable(str(error.strerror)) from error


def sweep(work_dir: Path) -> int:
    """Remove the folders of processes that are seen to be gone; returns how many there were."""
    abandoned = [folder for folder in work_dir.glob("job_*") if _is_abandoned(folder)]
    for folder in abandoned:
        shutil.rmtree(folder, ignore_errors=True)
    if abandoned:
        log.info("scratch.swept: %d folders of dead workers", len(abandoned))
    return len(abandoned)


def _is_abandoned(folder: Path) -> bool:
    try:
        return ProcessIdentity.from_dict(json.loads((folder / _OWNER).read_text())).is_gone()
    except (OSError, ValueError, KeyError, TypeError):
        # Being made or removed right now, unless it has been so for long.
        with suppress(OSError):
            return time.time() - folder.stat().st_mtime > OWNERLESS_FOR_SECONDS
        return False
