"""Logging, the same for every process: one event with its fields per line on standard error, without secrets.

With ``LOG_FORMAT=json`` every line is one JSON object, whoever wrote it: this code, a library, ``warnings``, an
exception that nothing caught and, after ``log_prints``, a ``print`` of a library.
"""

import io
import logging
import os
import re
import sys
import threading
import unicodedata
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TextIO

import structlog

from clipzy_storage.config.settings import Settings
from clipzy_storage.log_events import PROCESS_PRINTED, PROCESS_UNCAUGHT_EXCEPTION, PROCESS_WARNING

_SECRETS = re.compile(
    r"(?P<keep>(?:rediss?|socket|unix|https?)://)[^@/\s]+(?=@)"
    r"|(?P<query>(?:[Ss]ignature|X-Amz-[A-Za-z-]+|password)=)[^&\s]+"
    r"|(?P<header>Authorization:\s*)[^\r\n]+"
    r"|(?P<api_key>clz_[0-9A-Za-z]{12}_)[0-9A-Za-z]+"
    r"|(?P<webhooks>whsec_)[0-9A-Za-z+/=]+"
)
# Control characters, those that change the direction of text, and line separators.
_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_TRACEBACKS = ("exception", "stack")  # of several lines in text

log = structlog.stdlib.get_logger("clipzy.process")


def configure(settings: Settings, **process: str) -> None:
    """Set up logging for this process and the libraries in it, and for processes that it forks.

    ``process`` is what every line has besides the process id: the name of this ``worker`` or ``front_end``. Can be
    called again. A line that cannot be written is dropped.
    """
    logging.raiseExceptions = False
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _process_fields(process),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _make_safe,
    ]
    handler = _LineHandler(sys.__stderr__)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(settings)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler] if sys.__stderr__ is not None else [logging.NullHandler()]
    root.setLevel(settings.log_level)
    for name in ("botocore", "urllib3"):  # at DEBUG they log every request with its signature
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    _log_the_unforeseen()


def log_prints() -> None:
    """Log what libraries print from now on, if every line must be a JSON object: for a process that prints nothing."""
    formatter = logging.getLogger().handlers[0].formatter
    processors = getattr(formatter, "processors", ())
    if any(isinstance(one, structlog.processors.JSONRenderer) for one in processors):
        sys.stdout = sys.stderr = _LoggedPrints()


def redacted_text(text: str) -> str:
    """The text without the secrets that URLs and headers are known to contain."""
    return _SECRETS.sub(lambda found: next(filter(None, found.groups())) + "***", text)


def safe_text(text: str, *, keep: str = "") -> str:
    """The text without secrets, and escaped, except for characters in ``keep``."""
    return escaped_text(redacted_text(text), keep=keep)


def escaped_text(text: str, *, keep: str = "") -> str:
    """The text with escapes for characters that could forge a line or hide in one, except those in ``keep``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in _UNSAFE_CATEGORIES and char not in keep
        else char
        for char in text
    )


def _renderer(settings: Settings) -> Any:
    if settings.log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(
        colors=sys.__stderr__ is not None and sys.__stderr__.isatty(),
        pad_event_to=0,
        pad_level=False,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )


def _process_fields(process: dict[str, str]) -> Callable[[Any, str, Any], Any]:
    def add(_logger: Any, _method: str, event: Any) -> Any:
        return {**event, **process, "pid": os.getpid()}

    return add


def _make_safe(_logger: Any, _method: str, event: Any) -> Any:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = safe_text(value, keep="\n\t" if name in _TRACEBACKS else "")
    return event


def _log_the_unforeseen() -> None:
    def log_uncaught(kind: Any, error: Any, trace: Any) -> None:
        log.critical(PROCESS_UNCAUGHT_EXCEPTION, exc_info=(kind, error, trace))

    def log_uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
        if found.exc_type is not SystemExit:
            log_uncaught(found.exc_type, found.exc_value, found.exc_traceback)

    def log_warning(message: Any, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any) -> None:
        log.warning(PROCESS_WARNING, category=category.__name__, text=str(message), source=f"{filename}:{lineno}")

    sys.excepthook = log_uncaught
    threading.excepthook = log_uncaught_in_thread
    sys.unraisablehook = lambda found: log_uncaught(found.exc_type, found.exc_value, found.exc_traceback)
    warnings.showwarning = log_warning


class _LineHandler(logging.StreamHandler[TextIO]):
    """Takes its lock for the write alone: threads that log at the same time do not wait for each other's formatting."""

    def handle(self, record: logging.LogRecord) -> bool:
        try:
            line = self.format(record) + self.terminator
            with self.lock or nullcontext():
                self.stream.write(line)
        except Exception:  # noqa: BLE001 - as the handlers of the standard library do
            self.handleError(record)
        return True


class _LoggedPrints(io.TextIOBase):
    """Stands in for standard output and error: logs each line."""

    def __init__(self) -> None:
        self._unfinished = threading.local()

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        *lines, self._unfinished.text = (getattr(self._unfinished, "text", "") + text).split("\n")
        for line in filter(str.strip, lines):
            log.info(PROCESS_PRINTED, text=line)
        return len(text)
