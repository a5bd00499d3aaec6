"""The media process: gives up what it does not need, reads its request from stdin, works, and reports on stdout."""

import errno
import os
import re
import sys
from pathlib import Path
from typing import Any

from clipzy_storage.errors import StorageUnavailable
from clipzy_storage.process import die_with_parent
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.confinement import SandboxUnavailable, confine
from clipzy_worker.sandbox.protocol import OUT_OF_MEMORY, OUT_OF_SPACE, SOURCE_LOST, Report
from clipzy_worker.sandbox.request import MediaLimits, MediaRequest

_FAILED = 1
_TOO_LARGE_A_FILE = "wrote too large a file"
# An allocation that failed may have been one picture of the largest.
_LARGEST_ALLOCATION = 1 / 16


class OutOfMemory(Exception):
    """This process came to the end of its memory, whatever it says of the file: it may have found no room for it."""


class Outdated(Exception):
    """The media libraries are too old to be used; the text says which."""


def main() -> int:
    die_with_parent(int(sys.argv[1]))
    report = Report(_own_stdout())
    try:
        request = MediaRequest.from_json(sys.stdin.read())
        confine(request)
        report.result(_run(request, report))
    except InvalidMedia as error:
        report.invalid_media(str(error))
        return 0
    except Exception as error:
        reason = _spoken(error)
        if reason is None:
            raise
        report.crashed(reason)
        return _FAILED
    return 0


def _own_stdout() -> Any:
    """The pipe to the parent, for messages alone: whatever libraries print goes to stderr."""
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return stream


def _run(request: MediaRequest, report: Report) -> dict[str, Any]:
    # Imported here: the media libraries load only after the process has been confined.
    from clipzy_worker.analysis.run import analyse
    from clipzy_worker.decode.probe import outdated_library

    if complaint := outdated_library():
        raise Outdated(complaint)
    try:
        return analyse(request, report)
    finally:
        # Decoders take want of memory for damage, in threads of theirs where no error comes out.
        if _memory_was_short(request.limits):
            raise OutOfMemory


def _spoken(error: Exception) -> str | None:
    """How a crash is told to the parent; ``None`` where nobody has foreseen it."""
    match error:
        case MemoryError() | OutOfMemory():
            return OUT_OF_MEMORY
        case StorageUnavailable():
            return SOURCE_LOST
        case SandboxUnavailable():
            return str(error)
        case Outdated():
            return f"has libraries that are too old: {error}"
        case OSError(errno=errno.EFBIG):
            return _TOO_LARGE_A_FILE
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return OUT_OF_SPACE
    return None


def _memory_was_short(limits: MediaLimits) -> bool:
    """Whether at some time so little address space was left that an allocation may have failed."""
    try:
        peak = re.search(r"VmPeak:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return False
    return peak is not None and int(peak[1]) << 10 > limits.memory_bytes * (1 - _LARGEST_ALLOCATION)


if __name__ == "__main__":
    sys.exit(main())
