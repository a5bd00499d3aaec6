"""What the chooser of a method needs of each that can continue an upload."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from clipzy_api.client.errors import ClipzyError
from clipzy_api.client.uploads.memory import Unfinished
from clipzy_api.client.uploads.source import OnProgress, Source
from clipzy_api.schemas import Video

Method = Literal["form", "tus", "s3"]

STALLED_SECONDS = 600.0
"""How long an upload is tried to be continued without progress."""


@dataclass(frozen=True)
class InProgress:
    """An upload that is being sent."""

    source: Source
    unfinished: Unfinished
    keep: Callable[[Unfinished], None]
    """Remembers it as it is now."""
    on_progress: OnProgress


class ResumableMethod(Protocol):
    """One way to upload a file that survives an end of the process. Methods may raise ``ClipzyError``."""

    def begin(self, source: Source, *, idempotency_key: str) -> Unfinished:
        """A new upload, or the one that was begun under this key.

        The error has status 404, 405 or 409 if this is not offered.
        """

    def complete(self, upload: InProgress) -> Video:
        """Send what is missing, over failures that may pass, and return the video; also if all has arrived before.

        What is needed to continue it is kept. The error has status 404 if the front end does not know
        the upload any more.
        """

    def remove(self, unfinished: Unfinished) -> None:
        """Have the front end keep nothing of it."""


def may_pass(error: ClipzyError) -> bool:
    """Whether an upload is worth to be continued; an internal error may be permanent."""
    return error.is_transient and error.status != 500
