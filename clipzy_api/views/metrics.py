"""Metrics for Prometheus; any front end answers for the whole deployment."""

from flask import Blueprint, Response, request

from clipzy_api.metrics_text import Measured, rendered
from clipzy_api.openapi.operations import METRICS_TEXT, Answer, described
from clipzy_api.services import services
from clipzy_storage.errors import StorageError
from clipzy_storage.fleet.counters import CounterStore
from clipzy_storage.fleet.fleet import read_fleet
from clipzy_storage.redis_client import used_memory_bytes

metrics = Blueprint("metrics", __name__)


@metrics.get("/metrics")
@described(
    "Metrics for Prometheus",
    [Answer(200, "Counters, histograms and gauges of the whole deployment.", METRICS_TEXT)],
    problems=["QUEUE_UNAVAILABLE"],
)
def show_metrics() -> Response:
    """In the text format of Prometheus, or in OpenMetrics, as `Accept` prefers. A key needs the scope `metrics`."""
    redis = services().redis
    measured = Measured(
        sums=CounterStore(redis).read(),
        fleet=read_fleet(redis),
        redis_memory_bytes=used_memory_bytes(redis),
        storage_free_bytes=_free_bytes(),
    )
    body, content_type = rendered(measured, accept=request.headers.get("Accept", ""))
    return Response(body, content_type=content_type)


def _free_bytes() -> int | None:
    try:
        return services().free_space.answer().size_bytes
    except StorageError:
        return None
