"""What the WSGI server loads: a factory, so that importing this does nothing."""

import ctypes
import os
import signal
import socket

from clipzy_api.app import create_app
from clipzy_api.membership import Membership
from clipzy_api.server.idle_connections import IdleConnectionReaper
from clipzy_api.server.lingering_close import LingeringClose
from clipzy_api.server.run import MEMBER_ID, PARENT_PID
from clipzy_api.task_queue import ANSWER_SECONDS, TaskQueue
from clipzy_storage.backends import open_storage
from clipzy_storage.config import logs
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.guard.guard import Guard
from clipzy_storage.guard.members import new_member
from clipzy_storage.process import die_with_parent
from clipzy_storage.redis_client import RedisDatabase

MMAP_THRESHOLD_BYTES = 1 << 20  # more than a block of a body, which is freed and allocated all the time
MALLOC_ARENAS = 2

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of glibc's malloc.h


def application() -> LingeringClose:
    """The front end of this environment, as the member that ``serve`` has made it.

    Raises ``ConfigurationError`` where a setting is wrong.
    """
    # For certain: granian hangs for ever where one SIGTERM comes on the heels of another.
    die_with_parent(int(os.environ[PARENT_PID]), with_signal=signal.SIGKILL)
    _limit_malloc_arenas()
    settings = settings_from_env()
    logs.configure(settings)
    member_id = os.environ[MEMBER_ID]
    storage = open_storage(settings, writer=member_id)
    redis = RedisDatabase(settings.redis_url, answer_seconds=ANSWER_SECONDS)

    def new_guard() -> Guard:
        name, storage_id = socket.gethostname(), storage.prepare()
        member = new_member(settings, role="web", name=name, storage_id=storage_id, storage=storage.location)
        return Guard(redis, member, member_id=member_id)

    membership = Membership(new_guard, storage)
    membership.open_in_background()
    app = create_app(
        settings=settings,
        storage=storage,
        redis=redis,
        queue=TaskQueue(settings),
        membership=membership,
    )
    closing = LingeringClose(app)
    IdleConnectionReaper(is_late=closing.is_late).start()
    return closing


def _limit_malloc_arenas() -> None:
    """Return freed large blocks to the system at once, and have threads share arenas.

    Otherwise glibc keeps freed memory, in an arena for every few threads. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
        mallopt(_M_ARENA_MAX, MALLOC_ARENAS)
