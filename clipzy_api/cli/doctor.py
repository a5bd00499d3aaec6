"""`clipzy doctor`: checks this machine's set-up, and reports what is wrong and how to correct it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click
from pydantic import BaseModel, TypeAdapter, ValidationError

from clipzy_storage.config.environment import settings_from_env, slips_in_dotenv
from clipzy_storage.config.redis_url import RedisUrl
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError, QueueUnavailable, ScriptFailed, StorageError
from clipzy_storage.redis_client import RedisDatabase

MEDIA_CHECKS_TIMEOUT_SECONDS = 60
PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Check:
    """One line of the report. ``detail`` names what was found and, if it is not ok, the remedy.

    ``ok`` is None for a check that was skipped, since it depends on one that failed.
    """

    name: str
    ok: bool | None
    detail: str
    is_warning: bool = False

    @property
    def word(self) -> str:
        if self.is_warning:
            return "warn"
        return "skip" if self.ok is None else "ok" if self.ok else "FAIL"


class _MediaCheck(BaseModel):
    """One check as ``python -m clipzy_worker.doctor`` prints it, by name."""

    ok: bool
    detail: str


_MEDIA_CHECKS = TypeAdapter(dict[str, _MediaCheck])


class CheckFailed(Exception):
    """What a check found wrong, and the remedy."""


class Warned(Exception):
    """What a check found that may be meant, and the remedy if it is not."""


def doctor(*, as_json: bool) -> int:
    """Print every check; 0 if all are ok, otherwise 1."""
    checks = []
    for check in _checks():
        checks.append(check)
        if not as_json:  # immediately: verifying a mount may take a while
            click.echo(f"{check.word:<5} {check.name:<9} {check.detail}")
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=1))
    return 1 if any(check.ok is False for check in checks) else 0


def _checks() -> Iterator[Check]:
    try:
        checks = _DeploymentChecks(settings_from_env())
    except ConfigurationError as error:
        yield from (Check("settings", ok=False, detail=problem) for problem in error.problems)
        yield from _unknown_names()
        rest = ("redis", "storage", "ffmpeg", "decoder", "sandbox", "scratch", "workers", "queues", "webhooks", "guard")
        yield Check("rest", ok=None, detail=f"not checked until the settings are right: {', '.join(rest)}")
        return
    yield _checked("settings", checks.settings_in_use)
    yield from _unknown_names()
    redis = _checked("redis", checks.redis)
    storage = _checked("storage", checks.storage)
    yield from (redis, storage)
    yield from _media_checks()
    yield _checked("workers", checks.workers, after=[redis])
    yield _checked("queues", checks.queues, after=[redis])
    yield _checked("webhooks", checks.webhooks, after=[redis])
    yield _checked("guard", checks.guard, after=[redis, storage])


def _checked(name: str, check: Callable[[], str], *, after: Sequence[Check] = ()) -> Check:
    """The outcome of a check; one that needs a part which failed is skipped, so that each finding is reported once."""
    if failed := [other.name for other in after if not other.ok]:
        return Check(name, ok=None, detail=f"not checked, since it needs {' and '.join(failed)}")
    try:
        return Check(name, ok=True, detail=check())
    except Warned as warning:
        return Check(name, ok=True, detail=str(warning), is_warning=True)
    except (CheckFailed, StorageError, QueueUnavailable, ScriptFailed, ConfigurationError) as error:
        return Check(name, ok=False, detail=str(error))


def _unknown_names() -> Iterator[Check]:
    for name, known in slips_in_dotenv().items():
        question = f" Is {known} meant?" if known else ""
        detail = f"{name} in .env is not a setting and has no effect.{question}"
        yield Check(".env", ok=True, detail=detail, is_warning=True)


class _DeploymentChecks:
    """The checks that need settings. Each returns what it found, or raises an error that names the remedy."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._storage_id: str | None = None
        self._place = "the storage"

    def settings_in_use(self) -> str:
        return f"STORAGE_TYPE={self._settings.storage_type} WORKER_COUNT={self._settings.worker_count}"

    def redis(self) -> str:
        """That every Redis can be used, with the server's version and durability."""
        from clipzy_storage import redis_check

        urls = self._settings.redis_urls()
        if absent := redis_check.check_settings(self._settings):
            ways = {name: redis_check.way_to_a_redis(self._settings, name) for name in absent}
            raise CheckFailed(" ".join(f"{urls[name]}: {error}. {ways[name]}" for name, error in absent.items()))
        return "; ".join(map(_durability, urls.values()))

    def storage(self) -> str:
        """Writes, reads and deletes a file in storage, and leaves nothing behind."""
        from clipzy_storage.backends import open_storage

        storage = open_storage(self._settings)
        try:
            self._storage_id = storage.prepare()
            self._place = storage.location
            free = storage.free_space()
        finally:
            storage.retract()
        room = str(free) and f", {free} free"
        return f"{self._place} can be written, read and deleted{room}"

    def workers(self) -> str:
        from clipzy_storage.guard.members import live_members

        with RedisDatabase(self._settings.redis_url) as redis:
            members = live_members(redis).values()
        workers = [str(member) for member in members if member.role == "worker"]
        if not members:
            raise CheckFailed("nothing runs. Start everything with `clipzy up`, or front ends and workers one by one.")
        if not workers:
            raise CheckFailed("no worker is live, so jobs wait. Start one with `clipzy worker`.")
        return f"{len(workers)} live: {'; '.join(workers)}"

    def queues(self) -> str:
        """Which live workers take the jobs of each queue, and what waits in it."""
        from clipzy_storage.guard.members import live_members
        from clipzy_storage.jobs.store import JobStore
        from clipzy_storage.models.records import Queue

        with RedisDatabase(self._settings.redis_url) as redis:
            workers = [member for member in live_members(redis).values() if member.role == "worker"]
            store = JobStore(redis, lease_seconds=self._settings.job_lease_seconds)
            waiting = {queue: store.count_waiting(queue) for queue in Queue}
        takers = {queue: [worker.name for worker in workers if queue in worker.queues] for queue in Queue}
        found = "; ".join(
            f"{queue}: {_counted(waiting[queue], 'job')} due, taken by {', '.join(takers[queue]) or 'no live worker'}"
            for queue in Queue
        )
        if workers and (left := [queue for queue in Queue if waiting[queue] and not takers[queue]]):
            raise Warned(f"{found}. Start a worker whose WORKER_QUEUES has {' and '.join(left)}.")
        return found

    def webhooks(self) -> str:
        """Whether every live process has secrets for them, or none has."""
        from clipzy_storage.guard.members import ROLES, live_members

        with RedisDatabase(self._settings.redis_url) as redis:
            members = live_members(redis).values()
        if not self._settings.webhook_secrets and not any(member.webhooks for member in members):
            return "off: WEBHOOK_SECRETS is not set"
        if lacking := [f"{ROLES[member.role]} {member.name}" for member in members if not member.webhooks]:
            raise Warned(
                f"WEBHOOK_SECRETS is not set for {', '.join(lacking)}: a front end without it refuses webhooks, a"
                " worker without it delivers none. Set the same for every process."
            )
        return "on: WEBHOOK_SECRETS is set for every live process"

    def guard(self) -> str:
        """Whether this process may join the deployment: by its settings, and by the storage that Redis belongs to."""
        from clipzy_storage.guard import members, refusals

        if refusal := refusals.refusal_by_settings(self._settings):
            raise CheckFailed(refusal)
        if self._storage_id is None:
            raise CheckFailed("the storage is unavailable, so it cannot be compared with the one in use.")
        with RedisDatabase(self._settings.redis_url) as redis:
            pinned = members.pinned_storage_id(redis)
        if pinned and pinned != self._storage_id:
            raise CheckFailed(
                f"Redis belongs to storage {pinned}, but {self._place} is {self._storage_id}:"
                " processes would not find each other's files. Configure the same storage for every process."
            )
        in_use = f", and the storage is the one in use ({pinned})" if pinned else ""
        return f"the settings allow it{in_use}{self._mount_verification()}"

    def _mount_verification(self) -> str:
        """Verifies a mount that is declared shared, as a joining process does, and leaves nothing behind."""
        from clipzy_storage.backends import open_storage
        from clipzy_storage.guard import guard, members, mount_verifier, refusals

        if self._settings.storage_type != "local" or not self._settings.local_storage_shared:
            return ""
        storage = open_storage(self._settings)
        redis = RedisDatabase(self._settings.redis_url)
        peers = members.some_members(redis, count=guard.PEERS)
        verifier = mount_verifier.MountVerifier(
            redis,
            storage,
            member_id=members.new_member_id(),
            visibility_timeout_seconds=mount_verifier.VISIBILITY_TIMEOUT_SECONDS,
        )
        try:
            storage.prepare()
            while (verification := verifier.verify_step(peers)) is mount_verifier.Verification.PENDING:
                time.sleep(PAUSE_SECONDS)
        except mount_verifier.NotSameMount as error:
            raise CheckFailed(
                refusals.refusal_by_verification(self._place, peers[error.peer_id], str(error))
            ) from error
        finally:
            verifier.clean_up()
            storage.retract()
        if verification is mount_verifier.Verification.VERIFIED:
            return "; another process sees what is written here"
        return "; whether the mount is shared can be verified only while another process runs and answers"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _durability(url: RedisUrl) -> str:
    """From INFO, which every server answers."""
    from clipzy_storage.redis_client import translated

    with RedisDatabase(url) as redis, translated():
        info: Any = redis.client.info()
    if (policy := info.get("maxmemory_policy")) != "noeviction":
        raise CheckFailed(f"{url} may evict jobs: its maxmemory-policy is {policy}. Set it to noeviction.")
    if not info.get("aof_enabled"):
        raise CheckFailed(f"{url} loses jobs when it restarts: it keeps no append-only file. Set appendonly yes.")
    version = info.get("valkey_version") or info.get("redis_version")
    return f"{url}: {info.get('server_name', 'redis')} {version}, noeviction, appendonly"


def _media_checks() -> Iterator[Check]:
    """The worker's checks of its media tools, run as a command since only the worker may load them."""
    command = [sys.executable, "-P", "-m", "clipzy_worker.doctor"]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=MEDIA_CHECKS_TIMEOUT_SECONDS)
        checks = _MEDIA_CHECKS.validate_json(done.stdout)
    except (subprocess.SubprocessError, ValidationError) as error:
        detail = f"the worker's media tools cannot be checked ({type(error).__name__}). Reinstall its requirements."
        yield Check("ffmpeg", ok=False, detail=detail)
        return
    for name, check in checks.items():
        yield Check(name, ok=check.ok, detail=check.detail)
