"""Logging, the same for every process: one line (or JSON object) per event on standard error, without secrets."""

import logging
import re
import sys
from typing import Any

import structlog

from clipzy_storage.config.settings import Settings

_SECRETS = re.compile(
    r"(?P<keep>(?:rediss?|unix|https?)://)[^@/\s]+(?=@)"
    r"|(?P<query>(?:[Ss]ignature|X-Amz-[A-Za-z-]+|password)=)[^&\s]+"
    r"|(?P<header>Authorization:\s*)[^\r\n]+"
)


def configure(settings: Settings) -> None:
    """Set up logging for this process and the libraries in it."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _redact_secrets,
    ]
    renderer: Any = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0, pad_level=False)
    if settings.log_format == "json":
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for name in ("botocore", "urllib3"):  # at DEBUG they log every request with its signature
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def redacted_text(text: str) -> str:
    """The text without the secrets that URLs and headers are known to contain."""
    return _SECRETS.sub(lambda found: next(filter(None, found.groups())) + "***", text)


def _redact_secrets(_logger: Any, _method: str, event: Any) -> Any:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = redacted_text(value)
    return event
