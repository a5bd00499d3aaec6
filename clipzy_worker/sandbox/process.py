"""The parent's side of a media process: start it, follow it, end it. Imports no media library.

The child may be taken over by the file that it reads, so its messages are trusted for nothing beyond their schema.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO, Self

from clipzy_storage.errors import StorageFull, StorageUnavailable
from clipzy_storage.models.analysis import Analysis
from clipzy_worker.errors import InvalidMedia, MediaCrashed
from clipzy_worker.sandbox.output_checks import OutputChecks, check_artifacts, output_excess
from clipzy_worker.sandbox.protocol import OUT_OF_SPACE, SOURCE_LOST, MessageReader, ProtocolError, printable
from clipzy_worker.sandbox.request import MediaLimits, MediaRequest

__all__ = ["MediaLimits", "MediaProcess", "MediaRequest"]

STDERR_KEPT_BYTES = 64 << 10
_STDERR_LINE_LENGTH = 64 << 10
_READ_BYTES = 64 << 10
_EXIT_STEP_SECONDS = 0.02  # between the closing of its pipes and the end of a child
_LIBRARY_PATHS = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_SPOKEN_REASONS = {
    signal.SIGXCPU: "ran out of CPU time",
    signal.SIGXFSZ: "wrote too large a file",
    signal.SIGKILL: "was killed, perhaps for lack of memory or CPU time",
    signal.SIGSYS: "made a system call that it may not make",
}


class MediaProcess:
    """The analysis of one file in a child process with a session of its own. To be used once, with ``with``.

    However the block is left, the whole process group is killed, the child is reaped and the pipes are closed.

    ``with MediaProcess(request) as media:`` then ``for fraction in media.updates(): …`` then ``media.result()``.
    """

    def __init__(self, request: MediaRequest, *, command: Sequence[str] | None = None) -> None:
        """``command`` stands in for the media process where its parent is to be tested against a child gone wrong."""
        self._request = request
        # -I: neither PYTHON* variables nor files that lie in the working directory decide what is imported.
        self._command = command or (sys.executable, "-I", "-m", "clipzy_worker.analysis", str(os.getpid()))
        self._messages = MessageReader()
        self._stderr = bytearray()
        self._broken: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def stage(self) -> str:
        """Which stage of the pipeline is under way."""
        return self._messages.stage

    @property
    def stderr_tail(self) -> str:
        """The last of what the child wrote to stderr, for the log only: it may hold paths of this machine.

        Lines that a terminal or a reader of logs can take: a file may have had a say in them.
        """
        lines = self._stderr.decode(errors="replace").splitlines()
        return "\n".join(printable(line, length=_STDERR_LINE_LENGTH) for line in lines)

    def updates(self, *, poll_seconds: float = 0.25) -> Iterator[float]:
        """Progress from 0 to 1, never falling, at least every ``poll_seconds``; ends when the child has ended.

        It yields also when nothing new came, so that the caller can look at its clock, and break or raise.
        """
        process = self._running()
        checks = OutputChecks(process.pid, self._request.out_folder, self._request.limits)
        with selectors.DefaultSelector() as selector:
            for stream in (process.stdout, process.stderr):
                selector.register(_pipe(stream), selectors.EVENT_READ)
            while not self._broken:
                exited = self._has_exited()
                ready = selector.select(_patience(poll_seconds, exited=exited, pipes_open=bool(selector.get_map())))
                for key, _events in ready:
                    self._read(key, selector)
                if exited and not ready:
                    return  # whatever may still hold the pipes open is not the child, and will be killed
                self._broken = self._broken or checks.excess()
                yield self._messages.fraction

    def result(self) -> Analysis:
        """The result. Call it when ``updates`` has ended: a child that still runs is killed.

        Raises:
            InvalidMedia: the file is at fault; the text says how, for its owner.
            StorageFull: the output directory has no free space.
            StorageUnavailable: the file could not be opened or read, whatever its content.
            MediaCrashed: the child died, exceeded a limit, or violated the protocol.
        """
        status = self._reap()
        if self._messages.invalid_media is not None:
            raise InvalidMedia(self._messages.invalid_media)
        if self._messages.crashed == OUT_OF_SPACE:
            raise StorageFull(f"The media process {OUT_OF_SPACE}.")
        if self._messages.crashed == SOURCE_LOST:
            raise StorageUnavailable(f"The media process {SOURCE_LOST}.")
        if self._broken or self._messages.crashed:
            raise MediaCrashed(f"The media process {self._broken or self._messages.crashed}.")
        if status != 0:
            raise MediaCrashed(f"The media process {_spoken(status)}.")
        if self._messages.result is None:
            raise MediaCrashed("The media process ended without a result.")
        if excess := output_excess(self._request.out_folder, self._request.limits):
            raise MediaCrashed(f"The media process {excess}.")
        try:
            check_artifacts(self._messages.result.artifacts, self._request.out_folder)
        except ValueError as error:
            raise MediaCrashed(f"The media process listed {error}.") from error
        return self._messages.result

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._request.out_folder,
            env=clean_environment(),
            start_new_session=True,
            close_fds=True,
        )
        # A child that died at once is no news here: updates() and result() will tell of it.
        with contextlib.suppress(BrokenPipeError), _pipe(self._process.stdin) as stdin:
            stdin.write(self._request.to_json().encode())

    def _read(self, key: selectors.SelectorKey, selector: selectors.BaseSelector) -> None:
        data = os.read(key.fd, _READ_BYTES)
        if not data:
            selector.unregister(key.fileobj)
        elif key.fileobj is self._running().stderr:
            self._stderr += data
            del self._stderr[:-STDERR_KEPT_BYTES]
        else:
            try:
                self._messages.feed(data)
            except ProtocolError as error:
                self._broken = str(error)

    def _has_exited(self) -> bool:
        # Not reaped yet, so that its id stays its own and killing the group cannot hit a stranger.
        process = self._running()
        if process.returncode is not None:
            return True
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _reap(self) -> int:
        process = self._running()
        if process.returncode is None:
            self._kill_group(process.pid)
        return process.wait()

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        try:
            self._reap()
        finally:
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()

    @staticmethod
    def _kill_group(group: int) -> None:
        # Gone before it had its own session, or all of it ended by itself.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("MediaProcess is to be used with `with`")
        return self._process


def clean_environment() -> dict[str, str]:
    """Nothing of the parent's: no address, no key, no proxy. One thread each for libraries that would start many."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        # Where the interpreter itself finds its libraries, if it needs telling.
        **{name: os.environ[name] for name in _LIBRARY_PATHS if name in os.environ},
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def _patience(poll_seconds: float, *, exited: bool, pipes_open: bool) -> float:
    if exited:
        return 0
    return poll_seconds if pipes_open else min(poll_seconds, _EXIT_STEP_SECONDS)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("the media process was started without pipes")
    return stream


def _spoken(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    reason = _SPOKEN_REASONS.get(signal.Signals(-status))
    return reason or f"died of {signal.Signals(-status).name}"
