"""Standard streams of a process that outlives its terminal: what cannot be written is dropped.

A terminal that was closed, a pipe whose reader is gone, a full disk or a closed descriptor makes each write fail. A
command that runs for long must not end because of that, nor take its children down.
"""

import io
import os
import signal
import sys
from typing import Any, TextIO

_INPUT, _OUTPUT, _ERROR = 0, 1, 2


def drop_unwritable_output() -> None:
    """From now on writing to standard output and error never fails, in this process and in what it forks.

    Descriptors 0 to 2 that are closed are opened on the null device, so that no other file gets their numbers; child
    processes inherit that.
    """
    open_closed_streams()
    sys.stdout = sys.__stdout__ = _dropping_stream(_OUTPUT, sys.stdout)  # type: ignore[misc] # Celery uses the second
    sys.stderr = sys.__stderr__ = _dropping_stream(_ERROR, sys.stderr)  # type: ignore[misc]


def open_closed_streams() -> None:
    """Standard streams that were closed when Python started are there, and lead nowhere."""
    for descriptor in (_INPUT, _OUTPUT, _ERROR):
        _open_if_closed(descriptor)
    sys.stdout = sys.stdout or _dropping_stream(_OUTPUT, None)
    sys.stderr = sys.stderr or _dropping_stream(_ERROR, None)


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that ask a process to stop: a closed terminal's SIGHUP too, unless nohup has it ignored."""
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGTERM, signal.SIGINT, *hangup)


class _DroppingFile(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            written = super().write(data)
        except OSError:
            return len(data)
        return len(data) if written is None else written  # None: it would block


def _open_if_closed(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
        if null != descriptor:
            os.dup2(null, descriptor)
            os.close(null)
        os.set_inheritable(descriptor, True)


def _dropping_stream(descriptor: int, replaced: TextIO | None) -> io.TextIOWrapper:
    """Each line is written at once. ``replaced`` is None if the descriptor was closed when Python started."""
    raw = io.BufferedWriter(_DroppingFile(descriptor, "w", closefd=False))
    encoding = replaced.encoding if replaced is not None else "utf-8"
    return io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", line_buffering=True)
