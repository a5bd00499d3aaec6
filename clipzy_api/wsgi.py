"""What the WSGI server loads: a factory, so that importing this does nothing."""

import os
import signal
import socket

from flask import Flask

from clipzy_api.app import create_app
from clipzy_api.queue import Queue
from clipzy_api.serve import MEMBER_ID
from clipzy_storage import logs
from clipzy_storage.backends import open_storage
from clipzy_storage.guard import Guard, new_member
from clipzy_storage.jobs import JobStore
from clipzy_storage.process import die_with_parent
from clipzy_storage.settings import Settings


def application() -> Flask:
    """The front end of this environment, as the member that ``serve`` has made it.

    Raises:
        ConfigurationError: a setting is wrong, or the storage is.
        StorageUnavailable: the storage cannot be reached now.
    """
    die_with_parent(os.getppid(), with_signal=signal.SIGTERM)
    settings = Settings.from_env()
    logs.configure(settings)
    storage = open_storage(settings, writer=os.environ[MEMBER_ID])
    member = new_member(settings, role="web", name=socket.gethostname(), storage_id=storage.prepare())
    return create_app(
        settings=settings,
        storage=storage,
        jobs=JobStore(settings.redis_url, lease_seconds=settings.job_lease_seconds),
        queue=Queue(settings),
        guard=Guard(settings.redis_url, member, member_id=os.environ[MEMBER_ID]),
    )
