"""Many members of one deployment without their processes, and what each costs Redis."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import redis

from clipzy_storage import keys
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.guard import members
from clipzy_storage.guard.guard import Guard
from clipzy_storage.guard.members import Member
from clipzy_storage.guard.mount_verifier import MountVerifier
from clipzy_storage.guard.refusals import RetryLater
from clipzy_storage.jobs.admin import JobAdmin
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.redis_client import RedisDatabase
from clipzy_storage.uploads.locks import UploadLocks
from clipzy_worker.processing.context import WorkerContext
from clipzy_worker.processing.lease import LeaseRenewer
from clipzy_worker.runtime.janitor import Janitor
from clipzy_worker.runtime.notification_queue import NotificationQueues
from clipzy_worker.runtime.reaper import Reaper
from tests.support.jobs import claimed, noting, submitted

T = TypeVar("T")
_ANNOUNCEMENTS = f"{keys.REDIS_PREFIX}guard:questions:"


@dataclass(frozen=True)
class Cost:
    """What Redis carried out and received and sent, for one member; commands of scripts count one by one."""

    commands: float
    received_bytes: float
    sent_bytes: float


class Fleet:
    """Live workers on machines of their own, which share one directory; each is at work on a job."""

    def __init__(self, redis_url: str, storage: LocalStorage, *, size: int) -> None:
        self.size = size
        self._redis = RedisDatabase(redis_url)
        self._admin: Any = redis.Redis.from_url(redis_url, decode_responses=True)
        self._admin.flushall()
        members.open_fresh(self._redis)
        self._storage, self._storage_id = storage, storage.prepare()
        self._guards = {f"worker-{number}": self._guard(f"worker-{number}") for number in range(size)}
        for name in self._guards:
            self._guard(name, verifies=False).join()
        ctx = self._context()
        self._reapers = [
            Reaper(ctx, queues=NotificationQueues(self._redis, storage_id=self._storage_id)) for _ in range(size)
        ]
        self._janitors = [Janitor(ctx, UploadLocks(self._redis)) for _ in range(size)]
        for _ in range(size):
            claimed(ctx.store, submitted(ctx.store).job_id)

    def close(self) -> None:
        self._admin.close()
        self._redis.client.close()

    def heartbeat(self) -> Cost:
        return self._cost_of_each(Guard.heartbeat, self._guards.values())

    def look_for_probes(self) -> Cost:
        return self._cost_of_each(Guard.serve_verifications, self._guards.values())

    def one_more(self) -> Cost:
        """A newcomer that verifies the mount, joins and leaves, and those that it asks."""
        newcomer = self._guard("newcomer")

        def join_and_leave() -> None:
            while not self._joins(newcomer):
                for key in self._admin.keys(f"{_ANNOUNCEMENTS}*"):
                    self._guards[key.removeprefix(_ANNOUNCEMENTS)].serve_verifications()
            newcomer.leave()

        return self._cost(join_and_leave, count=1)

    def readiness_check(self) -> Cost:
        return self._cost(lambda: members.count_live_workers(self._redis), count=1)

    def reaper_pass(self) -> Cost:
        """One of them does the work for all, the others find that it does."""
        for reaper in self._reapers[:2]:  # so that its scripts are loaded
            self._admin.delete(f"{keys.REDIS_PREFIX}turn:reaper")
            reaper.run_once()
        self._admin.delete(f"{keys.REDIS_PREFIX}turn:reaper")
        return self._cost_of_each(Reaper.run_once, self._reapers)

    def janitor_pass(self) -> Cost:
        """With nothing due."""
        for name in ("reconcile", "count", "uploads", "clear"):
            JobAdmin(self._redis).try_lock(name, ttl_seconds=600)
        return self._cost_of_each(Janitor.run_once, self._janitors)

    def _cost_of_each(self, call: Callable[[T], None], parts: Iterable[T]) -> Cost:
        def call_each() -> None:
            for part in parts:
                call(part)

        return self._cost(call_each, count=self.size)

    def _cost(self, action: Callable[[], object], *, count: int) -> Cost:
        measuring, (commands, received, sent) = self._counted(lambda: None), self._counted(action)
        return Cost(*((found - own) / count for found, own in zip((commands, received, sent), measuring, strict=True)))

    def _counted(self, action: Callable[[], object]) -> tuple[int, int, int]:
        before = self._counters()
        action()
        commands, received, sent = (now - then for now, then in zip(self._counters(), before, strict=True))
        return commands, received, sent

    def _counters(self) -> tuple[int, int, int]:
        found = self._admin.info("everything")
        commands = sum(value["calls"] for name, value in found.items() if name.startswith("cmdstat_"))
        return commands, found["total_net_input_bytes"], found["total_net_output_bytes"]

    def _joins(self, newcomer: Guard) -> bool:
        with suppress(RetryLater):
            newcomer.join()
            return True
        return False

    def _guard(self, name: str, *, verifies: bool = True) -> Guard:
        process = replace(ProcessIdentity.own(), host=f"{name}.example.com", boot_id=name)
        member = Member(
            name=name,
            role="worker",
            storage_id=self._storage_id,
            storage=self._storage.location,
            exclusive=False,
            process=process,
        )
        verifier = MountVerifier(self._redis, self._storage, member_id=name, visibility_timeout_seconds=90)
        return Guard(self._redis, member, member_id=name, verifier=verifier if verifies else None)

    def _context(self) -> WorkerContext:
        store, admin = JobStore(self._redis, lease_seconds=60), JobAdmin(self._redis)
        admin.set_reconciled(admin.run_id())
        return WorkerContext(
            settings=settings_from_env({}),
            storage=self._storage,
            storage_id=self._storage_id,
            store=store,
            admin=admin,
            leases=LeaseRenewer(store),
            notify_workers=noting([]),
        )
