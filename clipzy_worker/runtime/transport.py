"""The Celery transport of a worker: takes job ids from the queues, and drops whatever else is in a message.

Celery trusts its queue. A message that it cannot read ends the worker in the middle of its loop, and one that was
noted as taken is restored for the next worker.
"""

import base64
import json
import uuid
from queue import Empty
from typing import Annotated, Any, Literal

import structlog
from kombu.transport import TRANSPORT_ALIASES, redis
from kombu.utils.json import dumps
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from clipzy_storage import celery_config, keys
from clipzy_storage.models.records import Queue

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

    def _restore(self, message: Any, leftmost: bool = False) -> None:  # noqa: ARG002 - kombu's own parameter
        """Return a message that was received and not started, so that it is the next one to be taken of its queue."""
        with self.conn_or_acquire() as client:
            client.rpush(message.delivery_info["routing_key"], dumps(message._raw))


class Transport(redis.Transport):
    """The Redis transport of a worker."""

    Channel = _Channel

    def _deliver(self, message: Any, queue: str | None) -> None:
        if queue in list(Queue):
            job_id = notified_job_id(message)
            if job_id is None:
                log.error("transport.dropped", reason="a message that is no notification", found=_task_of(message))
                return
            message = notification(job_id, queue=str(queue), task_id=_task_id_of(message))
        super()._deliver(message, queue)


def notified_job_id(message: Any) -> str | None:
    """The job id with which this message calls our task; None if it does not."""
    try:
        body = base64.b64decode(_Message.model_validate(message).body, validate=True)
        ((job_id,), _, _) = _BODY.validate_json(body)
    except ValueError:  # also pydantic's
        return None
    return job_id


def notification(job_id: str, *, queue: str, task_id: str) -> dict[str, Any]:
    """The message that Celery is given instead of one that it was sent: nothing but the job id is taken over.

    Anyone who can write to the queue could otherwise have the task end early, call other tasks, or be kept for later.
    """
    body = json.dumps([[job_id], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    headers = {"lang": "py", "task": celery_config.PROCESS_JOB, "id": task_id, "root_id": task_id}
    return {
        "body": base64.b64encode(body.encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": headers | {"argsrepr": repr([job_id]), "kwargsrepr": "{}"},
        "properties": {
            "body_encoding": "base64",
            "correlation_id": task_id,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "delivery_tag": str(uuid.uuid4()),
            "priority": 0,
        },
    }


def _task_of(message: Any) -> str:
    try:
        return repr(_Named.model_validate(message).headers["task"])[:100]
    except (ValidationError, KeyError):
        return "it names no task"


def _task_id_of(message: Any) -> str:
    """The id under which Flower knows that the task was sent; a new one if it is none of Celery's."""
    try:
        return str(uuid.UUID(message["headers"]["id"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return str(uuid.uuid4())


def _job_id(text: str) -> str:
    if not keys.is_job_id(text):
        raise ValueError("no job id")
    return text


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Headers(_Part):
    task: Literal["clipzy.process_job"]


class _Message(_Part):
    headers: _Headers
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    body: str


class _Named(_Part):
    headers: dict[str, Any]


# Positional arguments, keyword arguments, follow-up tasks.
_BODY = TypeAdapter(tuple[tuple[Annotated[str, AfterValidator(_job_id)]], dict[str, Any], dict[str, Any]])
