"""The front end at CLIPZY_URL, for the commands that are its clients; and what its errors look like in a terminal."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from clipzy_api.cli import exit_statuses
from clipzy_api.cli.exit_statuses import CommandFailed
from clipzy_api.client import (
    Client,
    ClipzyError,
    DownloadFailed,
    FrontEndUnreachable,
    JobFailed,
    UnusableFile,
    UploadFailed,
    WaitTimeout,
)
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.config.logs import escaped_text
from clipzy_storage.config.urls import redacted
from clipzy_storage.standard_streams import open_closed_streams


class InterruptNotice:
    """What Ctrl-C says about jobs that go on without this command: ``unfinished``, by their ids; and about ``sent``.

    It exits immediately: a KeyboardInterrupt raised in a destructor would be lost, and there is nothing to clean up.
    """

    def __init__(self) -> None:
        self.unfinished: list[str] = []
        self.sent: Path | None = None
        """A file on its way, which the same command continues."""
        signal.signal(signal.SIGINT, self._exit)

    def _exit(self, *_: object) -> None:
        lines = [f"clipzy: {job_id} goes on. Follow it with `clipzy watch {job_id}`.\n" for job_id in self.unfinished]
        if self.sent:
            name = escaped_text(str(self.sent))
            lines.append(f"clipzy: {name} is not submitted. Submit it again, and the upload goes on.\n")
        os.write(2, "".join(["\n" if lines else "", *lines]).encode())
        os._exit(exit_statuses.INTERRUPTED)


@contextmanager
def front_end() -> Iterator[tuple[Client, InterruptNotice]]:
    """A client of it. Raises ``CommandFailed`` for its errors, and ``ConfigurationError``."""
    open_closed_streams()
    settings = settings_from_env()
    notice = InterruptNotice()
    try:
        with Client(settings.clipzy_url, api_key=settings.api_key, on_retry=_show_pause) as client:
            yield client, notice
    except ClipzyError as error:
        message = _message(error, redacted(settings.clipzy_url))
        raise CommandFailed(message, exit_status=exit_status_of(error)) from error
    except BrokenPipeError:
        raise  # the reader has what it wanted, and click ends silently
    except OSError as error:  # such as a full disk
        message = f"the output cannot be written: {error.strerror}."
        raise CommandFailed(message, exit_status=exit_statuses.NOT_DONE) from error


def exit_status_of(error: ClipzyError) -> int:
    if isinstance(error, JobFailed):
        return exit_statuses.JOB_NOT_COMPLETED
    # An internal error may pass too, but a script should not wait for that.
    return exit_statuses.TRY_AGAIN if error.is_transient and error.status != 500 else exit_statuses.NOT_DONE


def _message(error: ClipzyError, url: str) -> str:
    match error:
        case FrontEndUnreachable(is_connected=True):
            return f"the front end at CLIPZY_URL={url} gave no answer ({error.cause}). Try again."
        case FrontEndUnreachable():
            return (
                f"no front end can be reached at CLIPZY_URL={url} ({error.cause})."
                " Start one with `clipzy up`, or set CLIPZY_URL."
            )
        case UnusableFile() | UploadFailed() | DownloadFailed() | JobFailed() | WaitTimeout():
            return str(error)
    advice = " Set CLIPZY_API_KEY to a key that is valid." if error.status == 401 else ""
    request = f", request {error.request_id}" if error.status == 500 and error.request_id else ""
    return f"{error}{advice} (CLIPZY_URL={url}{request})"


def _show_pause(error: ClipzyError, seconds: float) -> None:
    if seconds >= 1:
        click.echo(f"{error} Trying again in {seconds:.0f} s.", err=True)
