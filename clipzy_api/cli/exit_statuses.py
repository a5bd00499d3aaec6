"""The exit statuses of every `clipzy` command; docs/cli.md explains them."""

import click

DONE = 0
NOT_DONE = 1
WRONG_USAGE = 2
JOB_NOT_COMPLETED = 3
"""The job failed or was cancelled."""
TRY_AGAIN = 75
"""The front end cannot be reached, or asks to try again later; EX_TEMPFAIL of sysexits.h."""
INTERRUPTED = 130


class CommandFailed(click.ClickException):
    """A line for standard error, and the exit status."""

    def __init__(self, message: str, *, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status
