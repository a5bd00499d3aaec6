"""The media process: gives up what it does not need, reads its request from stdin, works, and reports on stdout."""

import errno
import os
import sys
from typing import Any

from clipzy_storage.errors import StorageUnavailable
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.media.confine import confine, follow_parent
from clipzy_worker.media.messages import OUT_OF_SPACE, SOURCE_LOST
from clipzy_worker.media.report import Report
from clipzy_worker.media.request import MediaRequest

_FAILED = 1


def main() -> int:
    follow_parent(int(sys.argv[1]))
    report = Report(_own_stdout())
    try:
        request = MediaRequest.from_json(sys.stdin.read())
        confine(limits=request.limits)
        report.result(_run(request, report))
    except InvalidMedia as error:
        report.invalid_media(str(error))
    except StorageUnavailable:
        report.crashed(SOURCE_LOST)
        return _FAILED
    except MemoryError:
        report.crashed("ran out of memory")
        return _FAILED
    except OSError as error:
        if error.errno not in (errno.EFBIG, errno.ENOSPC):
            raise
        report.crashed("wrote too large a file" if error.errno == errno.EFBIG else OUT_OF_SPACE)
        return _FAILED
    return 0


def _own_stdout() -> Any:
    """The pipe to the parent, for messages alone: whatever libraries print goes to stderr."""
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return stream


def _run(request: MediaRequest, report: Report) -> dict[str, Any]:
    # Imported here: the media libraries load only after the process has been confined.
    from clipzy_worker.media.analysis import analyse

    return analyse(request, report)


if __name__ == "__main__":
    sys.exit(main())
