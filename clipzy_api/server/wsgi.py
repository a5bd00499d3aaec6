"""The application factory that granian calls in the serving process. Importing this module does nothing."""

import ctypes
import os
import signal
import sys
from multiprocessing.util import Finalize

from clipzy_api.app import create_app
from clipzy_api.membership import Membership
from clipzy_api.server import connection_limits
from clipzy_api.server.connection_reaper import ConnectionReaper
from clipzy_api.server.lingering_close import LingeringClose
from clipzy_api.server.request_log import RequestLog
from clipzy_api.server.run import MEMBER_ID_VARIABLE, MEMBER_NAME_VARIABLE, PARENT_PID_VARIABLE
from clipzy_api.task_queue import ANSWER_SECONDS, TaskQueue
from clipzy_storage.backends import open_storage
from clipzy_storage.config import logs
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.fleet.counters import CounterStore
from clipzy_storage.guard.guard import Guard
from clipzy_storage.guard.members import new_member
from clipzy_storage.metrics.sender import MetricsSender
from clipzy_storage.process import die_with_parent
from clipzy_storage.redis_client import RedisDatabase, broker_of
from clipzy_storage.standard_streams import drop_unwritable_output

# Larger than a block of a request body, which is freed and allocated all the time.
MMAP_THRESHOLD_BYTES = 1 << 20
MALLOC_ARENAS = 2
SWITCH_INTERVAL_SECONDS = 0.0005
"""How long one thread may keep all others waiting; Python's 5 ms, for each of a request's waits, add up to seconds."""

# Parameters of mallopt in glibc's malloc.h.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8


def application() -> RequestLog:
    """The front end that the environment configures, under the membership that ``serve`` holds.

    Raises ``ConfigurationError`` if a setting is wrong.
    """
    drop_unwritable_output()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal sends it to both processes; the main one acts on it
    # SIGKILL, since granian hangs forever if a second SIGTERM arrives shortly after the first.
    die_with_parent(int(os.environ[PARENT_PID_VARIABLE]), with_signal=signal.SIGKILL)
    _limit_malloc_arenas()
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    settings = settings_from_env()
    logs.configure(settings, front_end=os.environ[MEMBER_NAME_VARIABLE])
    logs.log_prints()
    member_id = os.environ[MEMBER_ID_VARIABLE]
    storage = open_storage(settings, writer=member_id)
    redis = RedisDatabase(settings.redis_url, answer_seconds=ANSWER_SECONDS)

    def new_guard() -> Guard:
        name = os.environ[MEMBER_NAME_VARIABLE]
        member = new_member(settings, role="web", name=name, storage_id=storage.prepare(), storage=storage.location)
        return Guard(redis, member, member_id=member_id)

    sender = MetricsSender(CounterStore(redis).add)
    sender.start()
    Finalize(None, sender.stop, exitpriority=0)  # granian's processes do not run what is registered with atexit
    membership = Membership(new_guard, storage)
    membership.open_in_background()
    app = create_app(
        settings=settings,
        storage=storage,
        redis=redis,
        broker=broker_of(settings, redis, answer_seconds=ANSWER_SECONDS),
        queue=TaskQueue(settings, storage_id=lambda: membership.guard().storage_id),
        membership=membership,
    )
    lingering_close = LingeringClose(app)
    kept = connection_limits.current().kept
    ConnectionReaper(is_overdue=lingering_close.is_overdue, kept_connections=kept).start()
    return RequestLog(lingering_close)


def _limit_malloc_arenas() -> None:
    """Have malloc return freed large blocks to the system immediately, and all threads share a few arenas.

    By default glibc keeps freed memory, in up to eight arenas per core. Does nothing with other C libraries.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
        mallopt(_M_ARENA_MAX, MALLOC_ARENAS)
