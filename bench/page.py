"""What a list of 10,000 jobs on the web page costs a browser: its longest task, and when it first paints."""

from pathlib import Path
from typing import Any

from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.redis_client import RedisDatabase
from tests.support.chromium import Page, running_chromium
from tests.support.deployment import Deployment
from tests.support.jobs import submitted
from tests.support.waiting import eventually

JOBS, PAGES = 10_000, 20
MAX_TASK_MS = 200
FILTERS = ("#/?status=queued", "#/?status=failed", "#/")
_WATCH = """
globalThis.tasks = [];
new PerformanceObserver(list => tasks.push(...list.getEntries().map(task => task.duration)))
  .observe({type: "longtask", buffered: true});
null
"""


def measure(directory: Path, *, redis_url: str) -> bool:
    """Measure and print; whether no task of the browser took too long."""
    directory.mkdir(parents=True)
    with Deployment(directory, redis_url=redis_url, MAX_UNFINISHED_JOBS=str(2 * JOBS)) as deployment:
        web = deployment.web()
        _fill(redis_url, LocalStorage(deployment.storage, shared=False))
        with running_chromium(directory) as tab:
            painted_ms, longest_ms = _look(tab, web.url)
    print(f"\nThe web page on a list of {JOBS} jobs, {PAGES} pages of it and its filters:")
    print(f"  first contentful paint after {painted_ms:.0f} ms")
    print(f"  longest task {longest_ms:.0f} ms (aim: under {MAX_TASK_MS})")
    return longest_ms < MAX_TASK_MS


def _fill(redis_url: str, storage: LocalStorage) -> None:
    store, storage_id = JobStore(RedisDatabase(redis_url), lease_seconds=60), storage.prepare()
    for number in range(JOBS):
        submitted(store, filename=f"take {number:05}.mp4", storage_id=storage_id)


def _look(tab: Page, url: str) -> tuple[float, float]:
    """Milliseconds to the first paint, and of the longest task; 0 if none was over 50."""
    tab.look(width=1280)
    tab.open(url)
    tab.run(_WATCH)
    for number in range(1, PAGES + 1):
        _go(tab, f"#/?page={number}", f"take {JOBS - 50 * (number - 1) - 1:05}.mp4")
    for route in FILTERS:
        _go(tab, route, "No job is failed." if "failed" in route else f"take {JOBS - 1:05}.mp4")
    painted: Any = tab.run("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
    return float(painted), float(tab.run("Math.max(0, ...tasks)"))


def _go(tab: Page, route: str, text: str) -> None:
    tab.run(f"void (location.hash = '{route}')")
    eventually(lambda: text in tab.run("document.body.innerText"), f"{text} at {route}")
