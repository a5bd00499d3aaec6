"""Files of a result into a directory: each appears under its name complete and checked, or not at all."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from clipzy_api.client.errors import ClipzyError, DownloadFailed, UnusableFile
from clipzy_api.client.result_files import INDEX_NAME, ListedFile, ResultFiles
from clipzy_api.client.transport import Transport

BLOCK_BYTES = 256 << 10
MAX_NAME_BYTES = 200  # what a file system takes, and room for the temporary name


class Download:
    """Files of one job, on their way to ``directory``. ``overwrite``: files that are there, and differ, are replaced.

    ``on_progress`` is called with the bytes that are there and those of all files that were asked for.
    """

    def __init__(
        self,
        transport: Transport,
        job_id: str,
        directory: Path,
        *,
        overwrite: bool,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._transport = transport
        self._files = ResultFiles(transport, job_id)
        self._directory = directory
        self._overwrite = overwrite
        self._on_progress = on_progress
        self._there: set[Path] = set()
        """Files that need not be fetched."""
        self._done_bytes = self._total_bytes = 0

    def fetch(self, names: Sequence[str] | None) -> list[Path]:
        """Fetch these files, or all of them and the ``output.json``, which comes last. Raises ``ClipzyError``.

        A broken transfer is continued where it stopped, in this call or in a later one.
        """
        content, index = self._files.index()
        own = ListedFile(name=INDEX_NAME, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        wanted = _chosen([*index.artifacts, own], names)
        with _translated(self._directory):
            targets = {file.name: self._target(file) for file in wanted}
            self._total_bytes = sum(file.size_bytes for file in wanted)
            for file in wanted:
                self._place(file, targets[file.name], content if file is own else None)
        return list(targets.values())

    def _target(self, file: ListedFile) -> Path:
        """Where the file belongs. Raises ``DownloadFailed`` if its name leads elsewhere, ``UnusableFile``."""
        parts = file.name.split("/")
        if not all(map(_is_plain, parts)):
            raise DownloadFailed(f"The result lists a file {file.name[:80]!r}, which is no name that is safe to write.")
        path = self._directory.joinpath(*parts)
        if not path.parent.resolve().is_relative_to(self._directory.resolve()):
            raise UnusableFile(f"{path.parent} is a link out of {self._directory}. Remove it.")
        if _is_there(file, path):
            self._there.add(path)
        elif path.exists() and not self._overwrite:
            raise UnusableFile(f"{path} is there, and is another file. Choose another directory, or overwrite it.")
        return path

    def _place(self, file: ListedFile, target: Path, content: bytes | None) -> None:
        if target in self._there:
            self._report(file.size_bytes)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with _partial(target, file) as partial:
            if content is not None:
                partial.restart()
                partial.write(content)
                self._report(file.size_bytes)
            else:
                self._transfer(file, partial)
            partial.flush()
            partial.path.replace(target)

    def _transfer(self, file: ListedFile, partial: "_Partial") -> None:
        """Fetch what is missing, and check the whole; what differs is fetched once more from its beginning."""
        self._report(partial.size_bytes)
        for is_last in (False, True):
            self._complete(file, partial)
            if partial.sha256 == file.sha256:
                return
            self._report(-partial.size_bytes)
            partial.restart()
            if is_last:
                raise DownloadFailed(f"{file.name} arrived damaged, twice: it is not what the result lists.")

    def _complete(self, file: ListedFile, partial: "_Partial") -> None:
        """Try again after every failure, and give up only after several without progress. Raises ``ClipzyError``."""
        failures = 0
        while partial.size_bytes < file.size_bytes:
            before = partial.size_bytes
            try:
                self._receive(file, partial)
            except ClipzyError as error:
                failures = 1 if partial.size_bytes > before else failures + 1
                if not error.is_transient or failures >= self._transport.attempts:
                    raise
                self._transport.pause(error, failures)

    def _receive(self, file: ListedFile, partial: "_Partial") -> None:
        with self._files.opened(file.name, offset_bytes=partial.size_bytes) as response:
            if partial.size_bytes and not response.headers.get("Content-Range", "").startswith(
                f"bytes {partial.size_bytes}-"
            ):
                self._report(-partial.size_bytes)
                partial.restart()
            # To its end, after which the connection serves the next file; but no more than a little too much.
            while partial.size_bytes <= file.size_bytes and (block := response.read1(BLOCK_BYTES)):
                partial.write(block)
                self._report(len(block))
        if partial.size_bytes < file.size_bytes:
            raise DownloadFailed(f"{file.name} has fewer bytes than the result lists.")

    def _report(self, more_bytes: int) -> None:
        self._done_bytes += more_bytes
        if self._on_progress:
            self._on_progress(self._done_bytes, self._total_bytes)


class _Partial:
    """A file that is not complete yet, with the digest of what it has."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path, self._stream = path, stream
        self.size_bytes, self._digest = 0, hashlib.sha256()
        while block := stream.read(BLOCK_BYTES):
            self._count(block)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, block: bytes) -> None:
        self._stream.write(block)
        self._count(block)

    def flush(self) -> None:
        self._stream.flush()

    def restart(self) -> None:
        self._stream.seek(0)
        self._stream.truncate()
        self.size_bytes, self._digest = 0, hashlib.sha256()

    def _count(self, block: bytes) -> None:
        self.size_bytes += len(block)
        self._digest.update(block)


@contextmanager
def _partial(target: Path, file: ListedFile) -> Iterator[_Partial]:
    """The file under its temporary name, kept for a later call unless it was completed. Raises ``UnusableFile``."""
    path = target.with_name(f".{target.name}.{file.sha256[:16]}.part")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    with os.fdopen(descriptor, "r+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UnusableFile(f"{target} is being downloaded by another process.") from None
        yield _Partial(path, stream)


@contextmanager
def _translated(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = error.filename if isinstance(error.filename, str) else directory
        raise UnusableFile(f"{place} cannot be written: {error.strerror}.") from error


def _chosen(files: Sequence[ListedFile], names: Sequence[str] | None) -> list[ListedFile]:
    by_name = {file.name: file for file in files}
    if names is None:
        return list(by_name.values())
    if unknown := [name for name in names if name not in by_name]:
        raise ClipzyError(
            f"The result has no file {unknown[0][:80]!r}; it has {', '.join(by_name)}.", code="FILE_NOT_FOUND"
        )
    return [by_name[name] for name in dict.fromkeys(names)]


def _is_plain(part: str) -> bool:
    """Whether it names a visible file in its directory, on every system."""
    is_short = len(part.encode("utf-8", "replace")) <= MAX_NAME_BYTES
    return is_short and part.isprintable() and not part.startswith(".") and not set(part) & set("\\:") and part != ""


def _is_there(file: ListedFile, path: Path) -> bool:
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
