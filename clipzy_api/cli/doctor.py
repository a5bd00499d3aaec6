"""`clipzy doctor`: what is wrong with this machine's set-up, and what to do about it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import click

from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.config.settings import Settings
from clipzy_storage.config.urls import redacted
from clipzy_storage.errors import ConfigurationError, QueueUnavailable, StorageError
from clipzy_storage.redis_client import RedisDatabase

CHECKS_SECONDS = 60
PAUSE_SECONDS = 0.2  # between two looks whether another process has answered


@dataclass(frozen=True)
class Check:
    """One line of the doctor's. ``detail`` says what was found and, where it is not ok, the remedy."""

    name: str
    ok: bool
    detail: str


class Failed(Exception):
    """A check that found something wrong; the text says what, and the remedy."""


def doctor(*, as_json: bool) -> int:
    """Print every check; 0 if all are well, otherwise 1."""
    checks = []
    for check in _checks():
        checks.append(check)
        if not as_json:  # at once: the proof of a mount may take its time
            click.echo(f"{'ok' if check.ok else 'FAIL':<5} {check.name:<9} {check.detail}")
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=1))
    return 0 if all(check.ok for check in checks) else 1


def _checks() -> Iterator[Check]:
    try:
        examination = _Examination(settings_from_env())
    except ConfigurationError as error:
        yield from (Check("settings", ok=False, detail=problem) for problem in error.problems)
        yield from _media_checks()
        return
    yield _checked("settings", examination.settings_in_use)
    yield _checked("redis", examination.redis)
    yield _checked("storage", examination.storage)
    yield from _media_checks()
    yield _checked("workers", examination.workers)
    yield _checked("guard", examination.guard)


def _checked(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, ok=True, detail=check())
    except (Failed, StorageError, QueueUnavailable, ConfigurationError) as error:
        return Check(name, ok=False, detail=str(error))


class _Examination:
    """The checks that need settings. Each returns what it found, or raises with the remedy in the text."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._storage_id: str | None = None
        self._place = "the storage"

    def settings_in_use(self) -> str:
        return f"STORAGE_TYPE={self._settings.storage_type} WORKER_COUNT={self._settings.worker_count}"

    def redis(self) -> str:
        """The server's version and durability, from what every server tells."""
        from clipzy_storage import redis_client

        for name, url in self._settings.redis_urls().items():
            try:
                redis_client.check_server(name, url)
            except QueueUnavailable as error:
                raise Failed(f"{redacted(url)}: {error}. Start it, or set {name} to where it is.") from error
        where = redacted(self._settings.redis_url)
        with redis_client.RedisDatabase(self._settings.redis_url) as redis, redis_client.translated():
            info: Any = redis.client.info()
        if (policy := info.get("maxmemory_policy")) != "noeviction":
            raise Failed(f"{where} may throw jobs away: its maxmemory-policy is {policy}. Set it to noeviction.")
        if not info.get("aof_enabled"):
            raise Failed(f"{where} forgets jobs when it restarts: it keeps no append-only file. Set appendonly yes.")
        version = info.get("valkey_version") or info.get("redis_version")
        return f"{where}: {info.get('server_name', 'redis')} {version}, noeviction, appendonly"

    def storage(self) -> str:
        """Proves the storage by use, and leaves nothing behind."""
        from clipzy_storage.backends import open_storage

        storage = open_storage(self._settings)
        try:
            self._storage_id = storage.prepare()
            self._place = storage.location
            free_bytes = storage.free_bytes()
        finally:
            storage.retract()
        room = "" if free_bytes is None else f", {free_bytes / 1e9:.1f} GB free"
        return f"{self._place} can be written, read and deleted{room}"

    def workers(self) -> str:
        from clipzy_storage.guard.members import live_members

        with RedisDatabase(self._settings.redis_url) as redis:
            members = live_members(redis).values()
        workers = [str(member) for member in members if member.role == "worker"]
        if not workers:
            raise Failed("no worker is live, so jobs wait. Start one with `clipzy worker`.")
        return f"{len(workers)} live: {'; '.join(workers)}"

    def guard(self) -> str:
        """Whether the settings allow what is asked for, and the storage is the one that Redis belongs to."""
        from clipzy_storage.guard import members, refusals

        if refusal := refusals.refusal_by_settings(self._settings):
            raise Failed(refusal)
        if self._storage_id is None:
            raise Failed("the storage is out of reach, so it cannot be compared with the one in use.")
        with RedisDatabase(self._settings.redis_url) as redis:
            pinned = members.pinned_storage_id(redis)
        if pinned and pinned != self._storage_id:
            raise Failed(
                f"Redis belongs to storage {pinned}, but {self._place} is {self._storage_id}:"
                " files would go missing. Point every process at the same storage."
            )
        in_use = f", and the storage is the one in use ({pinned})" if pinned else ""
        return f"the settings allow it{in_use}{self._proof()}"

    def _proof(self) -> str:
        """Proves a mount that is declared shared as a newcomer would, and leaves nothing behind."""
        from clipzy_storage.backends import open_storage
        from clipzy_storage.guard import members, mount_verifier, refusals

        if self._settings.storage_type != "local" or not self._settings.local_storage_shared:
            return ""
        storage = open_storage(self._settings)
        redis = RedisDatabase(self._settings.redis_url)
        peers = members.live_members(redis)
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
            peer = peers[error.peer_id]
            raise Failed(refusals.refusal_by_verification(self._place, peer, str(error))) from error
        finally:
            verifier.clean_up()
            storage.retract()
        if verification is mount_verifier.Verification.VERIFIED:
            return "; another process sees what is written here"
        return "; that the mount is shared can be proved only while another process runs and answers"


def _media_checks() -> Iterator[Check]:
    """What the worker's side says of its media tools, asked by command since only it may load them."""
    command = [sys.executable, "-m", "clipzy_worker.doctor"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=CHECKS_SECONDS)
        checks = json.loads(answer.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        detail = f"the worker's media tools cannot be asked ({type(error).__name__}). Reinstall its requirements."
        yield Check("ffmpeg", ok=False, detail=detail)
        return
    for name, check in checks.items():
        yield Check(name, ok=bool(check["ok"]), detail=str(check["detail"]))
