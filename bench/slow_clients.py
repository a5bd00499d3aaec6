"""How long other clients wait while four hundred slow clients are connected."""

import statistics
import time
from contextlib import ExitStack
from pathlib import Path

from tests.support.api_client import ApiClient
from tests.support.deployment import Deployment
from tests.support.forms import mp4_bytes, part
from tests.support.slow_clients import slow_clients
from tests.support.wire import head

COUNT = 200  # of each kind
QUESTIONS = 50
AIM_SECONDS = 1.0


def measure(directory: Path, *, redis_url: str) -> bool:
    """Measure and print; whether the aim was reached."""
    slow_headers = b"POST /api/v1/videos HTTP/1.1\r\nHost: test\r\nX-Slow: "
    slow_body = head("/api/v1/videos", length=10 << 20) + part("file", mp4_bytes(100_000), filename="slow.mp4")
    with Deployment(directory, redis_url=redis_url) as deployment, ExitStack() as slow:
        api = deployment.web()
        alone = _answer_seconds(api)
        for beginning in (slow_headers, slow_body):
            slow.enter_context(slow_clients(api.port, beginning, count=COUNT))
        busy = _answer_seconds(api)
    print(f"\n/healthz and /api/v1/jobs next to {COUNT} clients that dribble headers and {COUNT} that dribble bodies:")
    for name, seconds in (("alone", alone), ("next to them", busy)):
        print(f"  {name:<12} median {statistics.median(seconds) * 1000:5.1f} ms, longest {max(seconds) * 1000:5.0f} ms")
    print(f"  aim: under {AIM_SECONDS:g} s")
    return max(busy) < AIM_SECONDS


def _answer_seconds(api: ApiClient) -> list[float]:
    return [_one(api, path) for _ in range(QUESTIONS) for path in ("/healthz", "/jobs")]


def _one(api: ApiClient, path: str) -> float:
    begun = time.perf_counter()
    assert api.get(path).ok
    return time.perf_counter() - begun
