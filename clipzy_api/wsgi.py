"""What the WSGI server loads: a factory, so that importing this does nothing."""

import os
import signal
import socket

from clipzy_api.app import create_app
from clipzy_api.connections import ConnectionWatch
from clipzy_api.heap import give_back_large_blocks
from clipzy_api.membership import Membership
from clipzy_api.queue import ANSWER_SECONDS, Queue
from clipzy_api.refusal import EarlyRefusals
from clipzy_api.serve import MEMBER_ID, PARENT_PID
from clipzy_storage import logs
from clipzy_storage.backends import open_storage
from clipzy_storage.guard import Guard
from clipzy_storage.job_upkeep import JobUpkeep
from clipzy_storage.jobs import JobStore
from clipzy_storage.members import new_member
from clipzy_storage.process import die_with_parent
from clipzy_storage.settings import Settings


def application() -> EarlyRefusals:
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
        upkeep=JobUpkeep(settings.redis_url, answer_seconds=ANSWER_SECONDS),
        queue=Queue(settings),
        membership=membership,
    )
    door = EarlyRefusals(app)
    ConnectionWatch(is_late=door.is_late).start()
    return door
