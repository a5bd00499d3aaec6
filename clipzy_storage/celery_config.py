"""The Celery settings that front end and worker share. Plain data: Celery is not imported."""

from typing import Any

from clipzy_storage import keys, redis_client
from clipzy_storage.config.settings import Settings
from clipzy_storage.models.records import Queue

PROCESS_JOB = "clipzy.process_job"
"""The name of the only task."""


def celery_settings(
    settings: Settings, *, storage_id: str, answer_seconds: float = redis_client.ANSWER_SECONDS
) -> dict[str, Any]:
    """The configuration that both sides share, for the deployment on this storage.

    ``answer_seconds`` bounds the wait for each response of the broker.
    """
    return {
        "broker_url": settings.broker_url.for_kombu(),
        "broker_use_ssl": tls.as_options() if (tls := settings.broker_url.tls) else False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "global_keyprefix": keys.broker_prefix(storage_id),
            # Saves a copy in Redis of each message between its receipt and its start, four commands in all: the reaper
            # replaces a message that is lost there sooner than kombu would restore it.
            "ack_emulation": False,
            # A worker takes from its first queue as long as that has a message, and from the next one only then.
            "queue_order_strategy": "priority",
            "socket_timeout": answer_seconds,
            "socket_connect_timeout": min(answer_seconds, redis_client.CONNECT_SECONDS),
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
        "task_default_queue": Queue.INTERACTIVE.value,
        "task_create_missing_queues": False,
        "task_ignore_result": True,
        "task_serializer": "json",
        "event_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_publish_retry_policy": {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5},
        "task_send_sent_event": True,
    }
