"""Every metric of `GET /metrics`: its name, labels and help. Dashboards and rules rely on the names. Pure."""

from dataclasses import dataclass
from typing import Literal

from clipzy_storage.models.records import ErrorCode

LabelValues = tuple[str, ...]

_SECONDS_OF_REQUESTS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
_SECONDS_OF_STAGES = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)

STAGES = ("import", "video_analysis", "audio_analysis", "motion_analysis", "style_extraction", "rendering")
"""The stages of a job, which the worker defines."""


@dataclass(frozen=True)
class Metric:
    """One metric. Its labels have few values: no ids, no paths that clients choose."""

    kind: Literal["counter", "histogram", "gauge"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """The upper bounds of a histogram, without the infinite one."""
    always: tuple[LabelValues, ...] = ()
    """Label values that are shown from the start, as 0: the rise from nothing to 1 is none to Prometheus."""


def _each(*values: str) -> tuple[LabelValues, ...]:
    return tuple((value,) for value in values)


METRICS: dict[str, Metric] = {
    "clipzy_http_requests_total": Metric(
        "counter",
        "Requests that have been answered, by method, endpoint (the name of a call, not its address) and status.",
        ("method", "endpoint", "status"),
    ),
    "clipzy_http_request_seconds": Metric(
        "histogram",
        "Time from the head of a request to the end of its answer, however slowly the client sends and reads.",
        ("endpoint",),
        _SECONDS_OF_REQUESTS,
    ),
    "clipzy_upload_bytes_total": Metric(
        "counter",
        "Bytes of uploads that have arrived, by upload method; those of s3 once an upload is completed.",
        ("method",),
        always=_each("form", "raw", "tus", "s3"),
    ),
    "clipzy_jobs": Metric("gauge", "Jobs that Redis knows, by status; finished ones for 30 days.", ("state",)),
    "clipzy_jobs_finished_total": Metric(
        "counter",
        "Jobs that have finished, by outcome and, of failed ones, by the code of the error.",
        ("outcome", "code"),
        always=(("completed", ""), ("cancelled", ""), *(("failed", code.value) for code in ErrorCode)),
    ),
    "clipzy_queue_jobs": Metric("gauge", "Jobs that wait for a worker and are due, by queue.", ("queue",)),
    "clipzy_queue_oldest_seconds": Metric(
        "gauge", "How long the job that waits longest in the queue has been waiting; 0 if none waits.", ("queue",)
    ),
    "clipzy_queue_bytes": Metric("gauge", "Size of the videos of the jobs that wait in the queue.", ("queue",)),
    "clipzy_workers": Metric("gauge", "Workers with a current heartbeat."),
    "clipzy_worker_slots": Metric("gauge", "Jobs that the workers can run at a time, by whether they do.", ("state",)),
    "clipzy_stage_seconds": Metric(
        "histogram",
        "Time that a stage has taken, of jobs whose analysis was completed, and of imports.",
        ("stage",),
        _SECONDS_OF_STAGES,
        always=_each(*STAGES),
    ),
    "clipzy_attempts_lost_total": Metric("counter", "Attempts at jobs whose worker was lost.", always=((),)),
    "clipzy_storage_errors_total": Metric(
        "counter",
        "Accesses to storage that have failed, by kind of error.",
        ("error",),
        always=_each("unavailable", "full", "credentials", "damaged"),
    ),
    "clipzy_storage_free_bytes": Metric(
        "gauge", "Space left in a local storage; absent where it is unknown, as on S3."
    ),
    "clipzy_webhook_deliveries_total": Metric(
        "counter",
        "Attempts to deliver a webhook, by outcome: delivered, failed (another one follows) or given_up.",
        ("outcome",),
        always=_each("delivered", "failed", "given_up"),
    ),
    "clipzy_redis_memory_bytes": Metric("gauge", "Memory that Redis uses, the records of others in it included."),
}
