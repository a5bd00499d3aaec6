"""Places in the job protocol where a test may have a process die, as a power cut would have it.

``CLIPZY_CRASH_AT=NAME`` ends the process at the point of that name, without any clean-up; ``CLIPZY_CRASH_AT=@FILE``
does so once at the point that FILE names, and removes the file. It is no setting: nothing but the tests and the drill
of ``docs/reliability.md`` use it.
"""

import logging
import os
from pathlib import Path

EXIT_STATUS = 137  # as of a process that was killed

# In the order in which a job passes them.
FRONT_END = ("upload-stored", "video-recorded", "job-opened", "job-submitted", "hint-sent")
WORKER = (
    "claimed",
    "source-copied",
    "artifact-stored",
    "attempt-stored",
    "committed",
    "published",
    "done-recorded",
    "finished",
    "released",
    "abandoned",
)
UPKEEP = ("cancel-wished", "cancel-decided", "open-deleted", "done-deleted", "results-deleted", "job-restored")
NAMES = (*FRONT_END, *WORKER, *UPKEEP)

log = logging.getLogger(__name__)


def failpoint(name: str) -> None:
    """End this process here and now if it was asked to."""
    assert name in NAMES, name
    asked = os.environ.get("CLIPZY_CRASH_AT")
    if asked and (asked == name or (asked.startswith("@") and _taken(Path(asked[1:]), name))):
        log.warning("crash.as_asked: %s", name)
        os._exit(EXIT_STATUS)


def _taken(order: Path, name: str) -> bool:
    """Whether this process is the one that carries out what the file orders."""
    try:
        if order.read_text().strip() != name:
            return False
        order.unlink()
    except OSError:
        return False
    return True
