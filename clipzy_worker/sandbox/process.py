"""A media process seen from its parent: starts it, follows it, ends it. Imports no media library.

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
from typing import Self

from clipzy_storage.errors import StorageFull, StorageUnavailable
from clipzy_storage.models.analysis import Analysis
from clipzy_worker.errors import InvalidMedia, MediaCrashed, RenderFailed, ResultTooLarge, result_too_large
from clipzy_worker.sandbox.output_checks import TOO_MANY_BYTES, OutputChecks, check_artifacts, output_excess
from clipzy_worker.sandbox.protocol import OUT_OF_SPACE, SOURCE_LOST, MessageReader, ProtocolError, printable
from clipzy_worker.sandbox.request import MediaLimits, MediaRequest

__all__ = ["MediaLimits", "MediaProcess", "MediaRequest"]

STDERR_KEPT_BYTES = 64 << 10
_STDERR_LINE_LENGTH = 64 << 10
_READ_BYTES = 64 << 10
_EXIT_POLL_SECONDS = 0.02
_LIBRARY_PATHS = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_REASONS_BY_SIGNAL = {
    signal.SIGXCPU: "ran out of CPU time",
    signal.SIGXFSZ: "wrote too large a file",
    signal.SIGKILL: "was killed, perhaps for lack of memory or CPU time",
    signal.SIGSYS: "made a forbidden system call",
}


class MediaProcess:
    """The analysis of one file in a child process with a session of its own, which begins when this is created.

    Must be used with ``with``: however the block is left, the whole process group is killed, the child is reaped and
    the pipes are closed.

    ``with MediaProcess(request) as media:`` then ``for fraction in media.updates(): …`` then ``media.result()``.
    """

    def __init__(self, request: MediaRequest, *, command: Sequence[str] | None = None) -> None:
        """``command`` replaces the media process, for tests of the parent against a faulty child."""
        self._request = request
        self._messages = MessageReader()
        self._stderr = bytearray()
        self._broken: str | None = None
        self._process = subprocess.Popen(
            # -I: neither PYTHON* variables nor files in the working directory decide what is imported.
            command or (sys.executable, "-I", "-m", "clipzy_worker.analysis", str(os.getpid())),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=request.out_directory,
            env=clean_environment(),
            start_new_session=True,
            close_fds=True,
        )
        try:
            self._send_request()
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stage(self) -> str:
        """The name of the stage in progress."""
        return self._messages.stage

    def new_segments(self) -> list[str]:
        """The names of the segments in ``SEGMENTS`` that the child finished since the last call."""
        return self._messages.new_segments()

    @property
    def stderr_tail(self) -> str:
        """The end of what the child wrote to stderr, for the log only: it may hold paths of this machine.

        Printable lines, since a file may have influenced them.
        """
        lines = self._stderr.decode(errors="replace").splitlines()
        return "\n".join(printable(line, length=_STDERR_LINE_LENGTH) for line in lines)

    def updates(self, *, poll_seconds: float = 0.25) -> Iterator[float]:
        """Progress from 0 to 1, never falling, at least every ``poll_seconds``, until the child has exited.

        Also yields without news, so that the caller can check its deadline, and break or raise.
        """
        checks = OutputChecks(self.pid, self._request.out_directory, self._request.limits)
        with selectors.DefaultSelector() as selector:
            for stream in filter(None, (self._process.stdout, self._process.stderr)):
                selector.register(stream, selectors.EVENT_READ)
            while not self._broken:
                exited = self._has_exited()
                timeout_seconds = _timeout(poll_seconds, exited=exited, pipes_open=bool(selector.get_map()))
                ready = selector.select(timeout_seconds)
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
            RenderFailed: the video was analysed, and cannot be rendered.
            ResultTooLarge: the result exceeds, or would exceed, ``output_bytes``.
            StorageFull: the output directory has no free space.
            StorageUnavailable: the file could not be opened or read, whatever its content.
            MediaCrashed: the child died, exceeded a limit, or violated the protocol.
        """
        status = self._reap()
        excess = output_excess(self._request.out_directory, self._request.limits)
        self._check_permanent_failures(excess)
        if self._messages.crashed == OUT_OF_SPACE:
            raise StorageFull(f"The media process {OUT_OF_SPACE}.")
        if self._messages.crashed == SOURCE_LOST:
            raise StorageUnavailable(f"The media process {SOURCE_LOST}.")
        if self._broken or self._messages.crashed:
            raise MediaCrashed(f"The media process {self._broken or self._messages.crashed}.")
        if status != 0:
            raise MediaCrashed(f"The media process {_exit_reason(status)}.")
        if self._messages.result is None:
            raise MediaCrashed("The media process ended without a result.")
        if excess:
            raise MediaCrashed(f"The media process {excess}.")
        try:
            check_artifacts(self._messages.result.artifacts, self._request.out_directory)
        except ValueError as error:
            raise MediaCrashed(f"The media process listed {error}.") from error
        return self._messages.result

    def _check_permanent_failures(self, excess: str | None) -> None:
        """Raises ``PermanentFailure``."""
        if self._messages.invalid_media is not None:
            raise InvalidMedia(self._messages.invalid_media)
        if self._messages.result_too_large is not None:
            raise ResultTooLarge(self._messages.result_too_large)
        if self._messages.render_failed is not None:
            raise RenderFailed(self._messages.render_failed)
        if TOO_MANY_BYTES in (excess, self._broken):
            raise result_too_large(self._request.limits.output_bytes)

    def _send_request(self) -> None:
        # If the child has died already, updates() and result() report that.
        if (stdin := self._process.stdin) is not None:
            with contextlib.suppress(BrokenPipeError), stdin:
                stdin.write(self._request.to_json().encode())

    def _read(self, key: selectors.SelectorKey, selector: selectors.BaseSelector) -> None:
        data = os.read(key.fd, _READ_BYTES)
        if not data:
            selector.unregister(key.fileobj)
        elif key.fileobj is self._process.stderr:
            self._stderr += data
            del self._stderr[:-STDERR_KEPT_BYTES]
        else:
            try:
                self._messages.feed(data)
            except ProtocolError as error:
                self._broken = str(error)

    def _has_exited(self) -> bool:
        # Not reaped yet, so that its id is not reused and killing the group cannot hit another process.
        if self._process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _reap(self) -> int:
        if self._process.returncode is None:
            self._kill_group(self.pid)
        return self._process.wait()

    def _end(self) -> None:
        try:
            self._reap()
        finally:
            for stream in filter(None, (self._process.stdin, self._process.stdout, self._process.stderr)):
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    @staticmethod
    def _kill_group(group: int) -> None:
        # It exited before it had its session, or all of it has exited.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def clean_environment() -> dict[str, str]:
    """Nothing from the parent: no URL, no key, no proxy. One thread each for libraries that would start many."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        # The interpreter itself may need them to find its libraries.
        **{name: os.environ[name] for name in _LIBRARY_PATHS if name in os.environ},
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        # There are none, and to look for them takes as long as to analyse half a second of video.
        "PYDANTIC_DISABLE_PLUGINS": "__all__",
        # Of SVT-AV1: errors alone. It would print its settings for every video.
        "SVT_LOG": "1",
    }


def _timeout(poll_seconds: float, *, exited: bool, pipes_open: bool) -> float:
    if exited:
        return 0
    # Closed pipes mean that the child is about to exit, which no selector reports.
    return poll_seconds if pipes_open else min(poll_seconds, _EXIT_POLL_SECONDS)


def _exit_reason(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    number = signal.Signals(-status)
    return _REASONS_BY_SIGNAL.get(number) or f"died of {number.name}"
