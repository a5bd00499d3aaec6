"""The media process: confines itself, reads its request from stdin, analyses, and reports on stdout."""

import errno
import os
import re
import sys
from pathlib import Path
from typing import BinaryIO

from clipzy_storage.errors import StorageUnavailable
from clipzy_storage.models.analysis import Analysis
from clipzy_storage.process import die_with_parent
from clipzy_worker.errors import InvalidMedia, RenderFailed, ResultTooLarge
from clipzy_worker.sandbox.confinement import SandboxUnavailable, confine
from clipzy_worker.sandbox.protocol import OUT_OF_MEMORY, OUT_OF_SPACE, SOURCE_LOST, Report
from clipzy_worker.sandbox.request import MediaLimits, MediaRequest
from clipzy_worker.stages import stages_of

_STATUS_CRASHED = 1
_FILE_TOO_LARGE = "wrote too large a file"
# The allocation that failed may have been for one frame of the largest size.
_LARGEST_ALLOCATION_RATIO = 1 / 16


class OutOfMemory(Exception):
    """This process has run out of memory, so its verdict on the file may be wrong."""


class Outdated(Exception):
    """A media library is too old to be safe; the text names it."""


def main() -> int:
    die_with_parent(int(sys.argv[1]))
    stdout = _own_stdout()
    request = MediaRequest.from_json(sys.stdin.read())
    report = Report(stdout, stages_of(request.config))
    try:
        confine(request)
        report.result(_run(request, report))
    except InvalidMedia as error:
        report.invalid_media(str(error))
    except ResultTooLarge as error:
        report.result_too_large(str(error))
    except RenderFailed as error:
        report.render_failed(str(error))
    except Exception as error:
        reason = _crash_reason(error)
        if reason is None:
            raise
        report.crashed(reason)
        return _STATUS_CRASHED
    return 0


def _own_stdout() -> BinaryIO:
    """The pipe to the parent, for messages alone: what libraries print is redirected to stderr."""
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return stream


def _run(request: MediaRequest, report: Report) -> Analysis:
    # Imported here: the media libraries are loaded only after the process has been confined.
    from clipzy_worker.analysis.run import analyse
    from clipzy_worker.decode.probe import outdated_library

    if complaint := outdated_library():
        raise Outdated(complaint)
    try:
        return analyse(request, report)
    finally:
        # Decoders report a lack of memory as damage, from threads whose errors are not visible here.
        if _memory_was_short(request.limits):
            raise OutOfMemory


def _crash_reason(error: Exception) -> str | None:
    """What is reported to the parent; ``None`` for an unexpected error."""
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
            return _FILE_TOO_LARGE
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return OUT_OF_SPACE
    return None


def _memory_was_short(limits: MediaLimits) -> bool:
    """Whether so little address space was left at some time that an allocation may have failed."""
    try:
        peak = re.search(r"VmPeak:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return False
    return peak is not None and int(peak[1]) << 10 > limits.memory_bytes * (1 - _LARGEST_ALLOCATION_RATIO)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # to take all modules apart costs as much as to analyse two seconds of video
