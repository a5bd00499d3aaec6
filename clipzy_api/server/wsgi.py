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
from clipzy_api.task_queue import ANSWER_SECONDS, Queue
from clipzy_storage.backends import open_storage
from clipzy_storage.config import logs
from clipzy_storage.config.settings import Settings
from clipzy_storage.guard.guard import Guard
from clipzy_storage.guard.members import new_member
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.process import die_with_parent


def application() -> LingeringClose:
    """The front end of this environment, as the member that ``serve`` has made it.

    Raises ``ConfigurationError`` where a setting is wrong.
    """
    # For certain: granian hangs for ever where one SIGTERM comes on the heels of another.
    die_with_parent(int(os.environ[PARENT_PID]), with_signal=signal.SIGKILL)
    give_back_large_blocks()
    settings = Settings.from_env()
    logs.configure(settings)
    member_id = os.environ[MEMBER_ID]
    storage = open_storage(settings, writer=member_id)

    def prove() -> Guard:
        name, storage_id = socket.gethostname(), storage.prepare()
        member = new_member(settings, role="web", name=name, storage_id=storage_id, storage=storage.place)
        return Guard(settings.redis_url, member, member_id=member_id, answer_seconds=ANSWER_SECONDS)

    membership = Membership(prove, storage)
    membership.look()
    app = create_app(
        settings=settings,
        storage=storage,
        jobs=JobStore(settings.redis_url, lease_seconds=settings.job_lease_seconds, answer_seconds=ANSWER_SECONDS),
        upkeep=JobAdmin(settings.redis_url, answer_seconds=ANSWER_SECONDS),
        queue=Queue(settings),
        membership=membership,
    )
    door = LingeringClose(app)
    IdleConnectionReaper(is_late=door.is_late).start()
    return door


LARGE_BYTES = 1 << 20  # more than a block of a body, which would be slower to take anew each time
HEAPS = 2

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of glibc's malloc.h


def give_back_large_blocks() -> None:
    """Have large blocks go back to the system as soon as they are freed, and threads share heaps.

    Otherwise glibc keeps what was freed, in a heap for each few threads. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_ARENA_MAX, HEAPS)
