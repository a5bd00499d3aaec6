"""The one line with which a command says why it ends: for people, or for the log if that consists of JSON."""

import sys
from contextlib import suppress

import structlog

from clipzy_storage.config import logs
from clipzy_storage.config.environment import log_settings_from_env
from clipzy_storage.log_events import PROCESS_REFUSED

log = structlog.stdlib.get_logger("clipzy.process")


def complain(problem: str) -> None:
    """Write ``problem`` to standard error, if that is possible. Any setting may be wrong."""
    settings = log_settings_from_env()
    if settings.log_format == "json":
        logs.configure(settings)
        log.error(PROCESS_REFUSED, problem=problem)
        return
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"clipzy: {logs.safe_text(problem)}\n")
            sys.stderr.flush()
