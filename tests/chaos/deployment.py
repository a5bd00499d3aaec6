"""A deployment for fault injection: Redis, storage, front ends and workers, with proxies between all of them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.announcements import settings_for
from tests.chaos.history import History
from tests.chaos.nodes import Node, Supervisor
from tests.chaos.owners import SETTINGS, Owner, with_keys
from tests.chaos.stores import Store, open_store
from tests.support.api_client import ApiClient
from tests.support.processes import own_host
from tests.support.servers import RedisServer, running_redis
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually
from tests.support.webhook_receiver import Receiver

LEASE_SECONDS = 3
FRONT_END_PORT = 8000


@dataclass(frozen=True)
class Deployment:
    """What runs. Front ends are at ``urls``, whether they answer or not."""

    directory: Path
    history: History
    redis: RedisServer
    store: Store
    front_ends: list[Node]
    workers: list[Node]
    urls: list[str]
    owners: list[Owner]
    receiver: Receiver

    @property
    def nodes(self) -> list[Node]:
        return self.front_ends + self.workers

    @property
    def scratch(self) -> list[Path]:
        """What attempts have left on the workers' disks."""
        return [path for worker in self.workers for path in worker.scratch.glob("job_*")]

    def is_ready(self) -> bool:
        return all(map(self._is_ready, self.urls))

    def _is_ready(self, url: str) -> bool:
        with ApiClient(url) as api:
            return api.is_ready() and api.get("/readyz").json().get("live_workers") == len(self.workers)


@contextmanager
def deployed(
    directory: Path, history: History, *, storage: str, receiver: Receiver, front_ends: int, workers: int
) -> Iterator[Deployment]:
    """Everything up and ready; stopped at the end, whatever was done to it."""
    with ExitStack() as stack:
        redis = stack.enter_context(running_redis(directory / "redis"))
        store = stack.enter_context(open_store(storage, directory))
        nodes, urls, place = [], [], directory / "nodes"
        owners = with_keys(store.storage)
        place.mkdir()
        for name in [f"web-{i + 1}" for i in range(front_ends)] + [f"worker-{i + 1}" for i in range(workers)]:
            host, role = own_host(), name.partition("-")[0]
            command = [role, "--host", host, "--port", str(FRONT_END_PORT)] if role == "web" else [role]
            settings = store.settings | settings_for(receiver)
            nodes.append(_node(stack, name, command, settings, directory=place, host=host, redis=redis, store=store))
            if role == "web":
                urls.append(f"http://{host}:{FRONT_END_PORT}")
        parts = (nodes[:front_ends], nodes[front_ends:], urls, owners, receiver)
        found = Deployment(directory, history, redis, store, *parts)
        stack.enter_context(Supervisor(nodes, history, directory=place))
        eventually(found.is_ready, "a deployment that is ready")
        yield found


def _node(
    stack: ExitStack,
    name: str,
    command: list[str],
    given: dict[str, str],
    *,
    directory: Path,
    host: str,
    redis: RedisServer,
    store: Store,
) -> Node:
    targets = {"redis": redis.address} | ({"s3": store.endpoint} if store.endpoint else {})
    proxies = {about: stack.enter_context(TcpProxy(target, host=host)) for about, target in targets.items()}
    settings = {
        **given,
        **SETTINGS,
        "REDIS_URL": redis.url_through(proxies["redis"].url),
        "JOB_LEASE_SECONDS": str(LEASE_SECONDS),
        "CLIPZY_DATA_DIR": str(directory / f"data-{name}"),
    }
    if "s3" in proxies:
        settings["AWS_ENDPOINT_URL_S3"] = proxies["s3"].url
    return Node(name, command, directory=directory, settings=settings, proxies=proxies)
