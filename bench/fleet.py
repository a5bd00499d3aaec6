"""What one worker costs Redis: a real one that idles, and one of a few and of many simulated ones that work."""

import os
import time
from pathlib import Path
from typing import Any

import redis

from bench.protocol import alone
from clipzy_storage.backends.local.storage import LocalStorage
from tests.support.deployment import Deployment
from tests.support.fleet import Cost, Fleet
from tests.support.processes import descendants

FEW, MANY = 4, 500
SETTLE_SECONDS, IDLE_SECONDS = 60, 60  # a new worker first does everything that is done now and then
MAX_IDLE_COMMANDS_PER_SECOND = 8
MAX_GROWTH = 1.1
WORK = {
    "heartbeat": "a heartbeat, every 7.5 s",
    "look_for_probes": "a look for probes, every second",
    "one_more": "joining with a mount verification",
    "readiness_check": "counting workers for /readyz",
    "reaper_pass": "a pass of the reaper, every 10 s",
    "janitor_pass": "a pass of the janitor, every 10 s",
}


def measure(directory: Path, *, redis_url: str) -> bool:
    """Measure and print; whether an idle worker is cheap, and a worker of many costs what one of a few does."""
    per_second = _idle_worker(directory / "idle", redis_url)
    few, many = (_costs(directory / str(size), redis_url, size) for size in (FEW, MANY))
    print(f"\nA worker of {FEW}, and one of {MANY}: commands of Redis, bytes received and sent by it:")
    for work, name in WORK.items():
        print(f"  {name:34} {_row(few[work])}   {_row(many[work])}")
    grows = any(_grows(few[work], many[work]) for work in WORK)
    return per_second <= MAX_IDLE_COMMANDS_PER_SECOND and not grows


def _costs(directory: Path, redis_url: str, size: int) -> dict[str, Cost]:
    directory.mkdir(parents=True)
    fleet = Fleet(redis_url, LocalStorage(directory, shared=True), size=size)
    try:
        return {work: getattr(fleet, work)() for work in WORK}
    finally:
        fleet.close()


def _row(cost: Cost) -> str:
    return f"{cost.commands:5.0f} {cost.received_bytes:6.0f} B {cost.sent_bytes:6.0f} B"


def _grows(few: Cost, many: Cost) -> bool:
    pairs = zip(vars(few).values(), vars(many).values(), strict=True)
    return any(of_many > of_few * MAX_GROWTH for of_few, of_many in pairs)


def _idle_worker(directory: Path, redis_url: str) -> float:
    """Commands a second of a real worker, the ones within scripts included."""
    alone(redis_url, LocalStorage(directory / "storage", shared=False))
    with Deployment(directory, redis_url=redis_url) as deployment, redis.Redis.from_url(redis_url) as client:
        worker = deployment.worker()
        pids = [worker.pid, *descendants(worker.pid)]
        time.sleep(SETTLE_SECONDS)
        before, busy_before = _counters(client), _cpu_seconds(pids)
        time.sleep(IDLE_SECONDS)
        after, busy_after = _counters(client), _cpu_seconds(pids)
    commands, received, sent = ((now - then) / IDLE_SECONDS for now, then in zip(after, before, strict=True))
    print(f"\nAn idle worker, over {IDLE_SECONDS} s:")
    print(f"  {commands:.1f} commands a second, {received:.0f} B/s to Redis, {sent:.0f} B/s from it")
    print(f"  {(busy_after - busy_before) / IDLE_SECONDS:.2%} of a core")
    return commands


def _counters(client: Any) -> tuple[int, int, int]:
    found = client.info("everything")
    commands = sum(value["calls"] for name, value in found.items() if name.startswith("cmdstat_"))
    return commands, found["total_net_input_bytes"], found["total_net_output_bytes"]


def _cpu_seconds(pids: list[int]) -> float:
    """User and system time of these processes."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")
