"""What both ends of the queue must agree on: plain Celery settings, without Celery, and a look at the broker."""

import base64
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

from clipzy_storage import keys, redis_client
from clipzy_storage.config.settings import Settings

QUEUE = "clipzy.jobs"
PROCESS_JOB = "clipzy.process_job"
# What reading a message raises that somebody else has put into the list.
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


def celery_settings(settings: Settings, *, answer_seconds: float = redis_client.ANSWER_SECONDS) -> dict[str, Any]:
    """The part of Celery's configuration that front end and worker share; each answer is waited for for so long."""
    return {
        "broker_url": settings.broker_url,
        **_tls(settings.broker_url),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "global_keyprefix": keys.BROKER_PREFIX,
            # Safe to be short: messages are acknowledged as soon as they are taken, and a second copy is refused
            # by the claim.
            "visibility_timeout": 600,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 6,
            "socket_timeout": answer_seconds,
            "socket_connect_timeout": min(answer_seconds, redis_client.CONNECT_SECONDS),
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
        "task_default_queue": QUEUE,
        "task_create_missing_queues": False,
        "task_ignore_result": True,
        "task_serializer": "json",
        "event_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_publish_retry_policy": {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5},
        "task_send_sent_event": True,
    }


def _tls(url: str) -> dict[str, Any]:
    """kombu takes any certificate unless it is told otherwise; what the URL says of it goes before this."""
    return {"broker_use_ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED}} if urlsplit(url).scheme == "rediss" else {}


def is_notification(message: Any) -> bool:
    """Whether this, out of the broker's list, calls our task with the id of a job, now, and with nothing to follow."""
    try:
        head, properties = message["headers"], message["properties"]
        (job_id,), named, follow_up = json.loads(base64.b64decode(message["body"], validate=True))
        return bool(
            (head["task"], message["content-type"], message["content-encoding"])
            == (PROCESS_JOB, "application/json", "utf-8")
            and properties["body_encoding"] == "base64"
            and isinstance(head["id"], str)
            and isinstance(properties["delivery_tag"], str)
            and isinstance(properties["delivery_info"], dict)
            and all(limit is None or isinstance(limit, int | float) for limit in head.get("timelimit") or ())
            and not (named or any(follow_up.values()) or head.get("eta") or head.get("expires"))
            and keys.is_job_id(job_id)
        )
    except UNREADABLE:
        return False


class QueueLength:
    """Counts the messages that no worker has taken yet."""

    def __init__(self, settings: Settings) -> None:
        self._redis = redis_client.connect(settings.broker_url)

    def __call__(self) -> int:
        """Raises ``QueueUnavailable``."""
        with redis_client.translated():
            waiting: Any = self._redis.llen(keys.BROKER_PREFIX + QUEUE)
        return int(waiting)
