"""Unfinished uploads in the user's state directory, so that the same call continues one after anything."""

import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, ValidationError

from clipzy_api.client.uploads.source import Source
from clipzy_api.schemas import SignedParts

KEPT_SECONDS = 30 * 86400.0
"""After which what was not continued is forgotten; front ends forget it earlier."""


class Unfinished(BaseModel):
    """An upload that a front end knows, of one version of a file."""

    method: Literal["tus", "s3"]
    upload_id: str
    """Also that of the video that it becomes."""
    size_bytes: int
    modified_ns: int
    inode: int
    idempotency_key: str = Field(default_factory=lambda: secrets.token_urlsafe(24))
    """From which those of the jobs are made that follow the upload."""
    part_size_bytes: int = 0
    etags: dict[int, str] = {}
    """Of the parts that the S3 service has, by their numbers."""
    signed: SignedParts | None = Field(None, exclude=True, repr=False)
    """With signatures, which are secret."""

    @classmethod
    def begun(cls, method: Literal["tus", "s3"], upload_id: str, source: Source) -> Self:
        identity = {"size_bytes": source.size_bytes, "modified_ns": source.modified_ns, "inode": source.inode}
        return cls(method=method, upload_id=upload_id, **identity)

    def is_of(self, source: Source) -> bool:
        return (self.size_bytes, self.modified_ns, self.inode) == (source.size_bytes, source.modified_ns, source.inode)


class Entry:
    """The place of one upload, held by one process; without a path nothing is remembered."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.unfinished: Unfinished | None = None
        if path is not None:
            with suppress(OSError, ValidationError):  # such as one of a later version
                self.unfinished = Unfinished.model_validate_json(path.read_bytes())

    def keep(self, unfinished: Unfinished) -> None:
        """Remember it as it is now: after a crash there is this state or the one before."""
        self.unfinished = unfinished
        if self._path is not None:
            with suppress(OSError):  # the upload itself goes on
                _write(self._path, unfinished.model_dump_json().encode())

    def forget(self) -> None:
        self.unfinished = None
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)


class UploadMemory:
    """What is remembered for one front end and API key. Where the directory cannot be written, that is nothing."""

    def __init__(self, directory: Path | None, *, server: str, api_key: str | None) -> None:
        """``server``: its address without secrets."""
        self._directory = directory
        self._caller = [server, api_key]

    @contextmanager
    def entry(self, source: Source, *, idempotency_key: str | None) -> Iterator[Entry]:
        """The entry of a file, under the caller's own key if there is one.

        While another process or thread holds it, it is one that remembers nothing.
        """
        with ExitStack() as stack:
            path = None
            if self._directory is not None:
                name = _digest([*self._caller, os.path.abspath(source.path), idempotency_key])
                with suppress(OSError):
                    _prepare(self._directory)
                    path = stack.enter_context(_held(self._directory / name))
            yield Entry(path)


def state_directory() -> Path | None:
    """``clipzy/uploads`` in the user's state directory; None for a user without a home."""
    chosen, home = os.environ.get("XDG_STATE_HOME", ""), os.environ.get("HOME", "")
    if Path(chosen).is_absolute():
        return Path(chosen, "clipzy", "uploads")
    return Path(home, ".local", "state", "clipzy", "uploads") if Path(home).is_absolute() else None


def _prepare(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in directory.iterdir():
        with suppress(FileNotFoundError):  # another process forgets as well
            if path.stat().st_mtime < time.time() - KEPT_SECONDS:
                path.unlink()


@contextmanager
def _held(path: Path) -> Iterator[Path | None]:
    """The path under a lock of this process, or None if another one has it. Raises ``OSError``."""
    lock, content = path.with_suffix(".lock"), path.with_suffix(".json")
    descriptor = _locked(lock)
    if descriptor is None:
        yield None
        return
    try:
        yield content
    finally:
        with suppress(OSError):
            if not content.exists():
                lock.unlink()
        os.close(descriptor)


def _locked(path: Path) -> int | None:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):  # otherwise the one who had it has removed it
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _write(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:40]
