"""The Celery transport of a worker: takes notifications from the queue and drops any other message.

Celery trusts its queue. A message that it cannot read ends the worker in the middle of its loop, and one that was
noted as taken is restored for the next worker.
"""

import base64
from queue import Empty
from typing import Annotated, Any, Literal

import structlog
from kombu.transport import TRANSPORT_ALIASES, redis
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from clipzy_storage import celery_config, keys

# kombu decodes the text of a message with one decoder per type, each of which raises errors of its own.
_DECODER_ERRORS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)

log = structlog.stdlib.get_logger(__name__)


def install() -> None:
    """Have this process use this transport for every ``redis`` and ``rediss`` URL."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))


class _Channel(redis.Channel):
    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc] # not in the stubs
        except _DECODER_ERRORS as error:
            log.error("transport.dropped", reason="a message that cannot be decoded", found=repr(error)[:200])
            raise Empty from error  # to kombu: the queue was empty


class Transport(redis.Transport):
    """The Redis transport of a worker."""

    Channel = _Channel

    def _deliver(self, message: Any, queue: str | None) -> None:
        if queue == celery_config.INTERACTIVE and not is_notification(message):
            log.error("transport.dropped", reason="a message that is no notification", found=_task_of(message))
            return
        super()._deliver(message, queue)


def is_notification(message: Any) -> bool:
    """Whether this message calls our task with a job id, immediately, and without follow-up tasks."""
    try:
        body = base64.b64decode(_Message.model_validate(message).body, validate=True)
        _BODY.validate_json(body)
    except ValueError:  # also pydantic's
        return False
    return True


def _task_of(message: Any) -> str:
    try:
        return repr(_Named.model_validate(message).headers["task"])[:100]
    except (ValidationError, KeyError):
        return "it names no task"


def _job_id(text: str) -> str:
    if not keys.is_job_id(text):
        raise ValueError("no job id")
    return text


def _empty(value: Any) -> Any:
    if value:
        raise ValueError("not empty")
    return value


Nothing = Annotated[Any, AfterValidator(_empty)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Headers(_Part):
    task: Literal["clipzy.process_job"]
    id: str
    eta: Nothing = None
    expires: Nothing = None
    timelimit: list[float | None] | tuple[float | None, ...] | None = None


class _Properties(_Part):
    body_encoding: Literal["base64"]
    delivery_tag: str
    delivery_info: dict[str, Any]


class _Message(_Part):
    headers: _Headers
    properties: _Properties
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    body: str


class _Named(_Part):
    headers: dict[str, Any]


# Positional arguments, keyword arguments, follow-up tasks.
_BODY = TypeAdapter(tuple[tuple[Annotated[str, AfterValidator(_job_id)]], Nothing, dict[str, Nothing]])
