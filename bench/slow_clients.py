"""How long other clients wait while two thousand hostile clients are connected, directly and through nginx."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.sending import peak_memory_mib
from tests.support.api_client import ApiClient
from tests.support.hostile_clients import Targets, hostile_clients, published_targets
from tests.support.nginx import running_nginx
from tests.support.servers import running_front_end

COUNT = 2000
SECONDS = 60
PAUSE_SECONDS = 0.05
AIM_SECONDS = 1.0


def measure(directory: Path, *, redis_url: str) -> bool:
    """Measure and print; whether the aim was reached both ways."""
    print(f"\n/healthz and the poll of a job for {SECONDS} s next to {COUNT} clients of six kinds (half a header, a")
    print("trickled body, slow readers of a result, a file, a script and events):")
    longest_seconds = [
        _measure(directory / name, redis_url, way=way, through_nginx=through_nginx)
        for name, way, through_nginx in (("web", "directly", False), ("nginx", "through nginx", True))
    ]
    print(f"  aim: under {AIM_SECONDS:g} s")
    return max(longest_seconds) < AIM_SECONDS


def _measure(directory: Path, redis_url: str, *, way: str, through_nginx: bool) -> float:
    """The longest answer next to the clients."""
    with _server(directory, redis_url, through_nginx=through_nginx) as (api, targets, pid):
        alone, attacked = _alone(api, targets), _attacked(directory, api, targets)
        for name, seconds in (("alone", alone), ("next to them", attacked)):
            print(f"  {way}, {name}: median {statistics.median(seconds) * 1000:.1f} ms,", end=" ")
            print(f"longest {max(seconds) * 1000:.0f} ms of {len(seconds)}")
        print(f"  {way}: memory of the front end at most {peak_memory_mib(pid):.0f} MiB")
    return max(attacked)


@contextmanager
def _server(directory: Path, redis_url: str, *, through_nginx: bool) -> Iterator[tuple[ApiClient, Targets, int]]:
    with running_front_end(directory, redis_url) as front_end:
        targets, pid = published_targets(front_end), front_end.process.pid
        if not through_nginx:
            yield ApiClient(front_end.url), targets, pid
            return
        with running_nginx(directory / "nginx", upstream_port=front_end.port, max_file_size_mb=2000) as nginx:
            yield ApiClient(nginx.url), targets, pid


def _alone(api: ApiClient, targets: Targets) -> list[float]:
    return [_answer_seconds(api, path) for _ in range(50) for path in _paths(targets)]


def _attacked(directory: Path, api: ApiClient, targets: Targets) -> list[float]:
    with hostile_clients(directory, api.port, targets, count=COUNT, seconds=SECONDS + 30) as clients:
        until, found = time.monotonic() + SECONDS, []
        while time.monotonic() < until:
            found += [_answer_seconds(api, path) for path in _paths(targets)]
            time.sleep(PAUSE_SECONDS)
        assert clients.is_running()
    return found


def _paths(targets: Targets) -> tuple[str, str]:
    return "/healthz", f"/jobs/{targets.open_id}"


def _answer_seconds(api: ApiClient, path: str) -> float:
    """Over a connection of its own, as a new client makes it."""
    begun = time.perf_counter()
    with ApiClient(api.url) as client:
        assert client.get(path).ok
    return time.perf_counter() - begun
