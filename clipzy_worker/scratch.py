"""The folders in which attempts work, and what dead workers left of theirs."""

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipzy_storage.errors import StorageFull
from clipzy_storage.process import ProcessIdentity

FREE_BYTES_NEEDED = 256 << 20  # stills and room to breathe; a copy of the source comes on top where one is made

_OWNER = "owner.json"

log = logging.getLogger(__name__)


@contextmanager
def attempt_folder(work_dir: Path, name: str, *, needed_bytes: int = FREE_BYTES_NEEDED) -> Iterator[Path]:
    """An empty folder of this process' own, gone at the end.

    Raises:
        StorageFull: less than ``needed_bytes`` are free there.
    """
    folder = work_dir / name
    folder.mkdir(parents=True, mode=0o700)
    try:
        (folder / _OWNER).write_text(json.dumps(ProcessIdentity.own().as_dict()))
        free_bytes = shutil.disk_usage(folder).free
        if free_bytes < needed_bytes:
            raise StorageFull(f"WORK_DIR has {free_bytes >> 20} MiB free, a job needs {needed_bytes >> 20} MiB")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(work_dir: Path) -> int:
    """Remove the folders of processes that are seen to be gone; returns how many there were."""
    swept = 0
    for owner_file in work_dir.glob(f"*/{_OWNER}"):
        try:
            owner = ProcessIdentity.from_dict(json.loads(owner_file.read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # half written, or already being removed by another worker
        if owner.is_gone():
            shutil.rmtree(owner_file.parent, ignore_errors=True)
            swept += 1
    if swept:
        log.info("scratch.swept: %d folders of dead workers", swept)
    return swept
