"""Failpoints: named places in the job protocol where tests have a process exit or pause, as a power cut would have it.

``CLIPZY_FAILPOINTS`` names a file with one line, ``NAME ACTION``; without the variable failpoints do nothing. Actions:

- ``exit``: every process that reaches the failpoint exits there, without any clean-up;
- ``exit-once``: the first process that reaches it removes the file and exits;
- ``pause``: a process that reaches it waits there until the file is removed or says something else.

It is no setting: only the tests and the drill of ``docs/reliability.md`` use it.
"""

import os
import time
from pathlib import Path
from typing import Literal, get_args

import structlog

from clipzy_storage.log_events import FAILPOINT_EXIT, FAILPOINT_PAUSE

VARIABLE = "CLIPZY_FAILPOINTS"
EXIT_STATUS = 137  # as of a process that was killed
PAUSE_CHECK_SECONDS = 0.02

# In the order in which a job passes them.
FrontEndFailpoint = Literal["upload-stored", "video-recorded", "job-opened", "job-submitted", "workers-notified"]
UploadFailpoint = Literal["upload-begun", "upload-received", "upload-published", "upload-recorded"]
ImportFailpoint = Literal["import-published", "import-recorded"]
RenderFailpoint = Literal["segment-stored"]
AttemptFailpoint = Literal[
    "claimed",
    "source-copied",
    "artifact-stored",
    "attempt-stored",
    "committed",
    "published",
    "end-indexed",
    "done-recorded",
    "finished",
    "released",
    "cancel-confirmed",
]
AdminFailpoint = Literal[
    "cancellation-requested",
    "cancellation-pending",
    "open-deleted",
    "done-deleted",
    "entry-deleted",
    "results-deleted",
    "job-restored",
]
WebhookFailpoint = Literal["webhook-sent", "delivery-recorded", "replay-recorded"]
Failpoint = (
    FrontEndFailpoint
    | UploadFailpoint
    | ImportFailpoint
    | RenderFailpoint
    | AttemptFailpoint
    | AdminFailpoint
    | WebhookFailpoint
)
Action = Literal["exit", "exit-once", "pause"]

FRONT_END: tuple[Failpoint, ...] = get_args(FrontEndFailpoint)
ATTEMPT: tuple[Failpoint, ...] = get_args(AttemptFailpoint)
ADMIN: tuple[Failpoint, ...] = get_args(AdminFailpoint)
WEBHOOK: tuple[Failpoint, ...] = get_args(WebhookFailpoint)

log = structlog.stdlib.get_logger(__name__)


def failpoint(name: Failpoint) -> None:
    """Exit or pause here if a test ordered it."""
    file_name = os.environ.get(VARIABLE)
    if file_name:
        _obey(Path(file_name), name)


def _obey(file: Path, name: Failpoint) -> None:
    if _ordered(file, name) == "pause":
        log.warning(FAILPOINT_PAUSE, failpoint=name)
    while (action := _ordered(file, name)) == "pause":
        time.sleep(PAUSE_CHECK_SECONDS)
    if action == "exit" or (action == "exit-once" and _is_first(file)):
        log.warning(FAILPOINT_EXIT, failpoint=name)
        os._exit(EXIT_STATUS)


def _ordered(file: Path, name: Failpoint) -> str:
    """The action that the file orders for this failpoint; empty if none."""
    try:
        ordered_name, _, action = file.read_text().strip().partition(" ")
    except FileNotFoundError:
        return ""
    return action if ordered_name == name else ""


def _is_first(file: Path) -> bool:
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True
