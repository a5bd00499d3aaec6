"""Rule 4 of the guard: verifies that a directory which is declared shared is the same directory for every process.

A process writes a probe and announces it in Redis; a peer that sees the probe replies with a file that only a reader of
the probe can write. So both directions are shown, which neither the names of mounts nor the storage's identity can do:
a copied directory has the same identity. A bucket needs no verification: all its clients use the one service.
"""

import hashlib
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageBackend, put_bytes, read_bytes
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import AlreadyExists, NotFound, QueueUnavailable, StorageError, StorageUnavailable
from clipzy_storage.redis_client import RedisDatabase, translated

VISIBILITY_TIMEOUT_SECONDS = 90.0
"""How long a file may stay unseen after it was written: network filesystems cache for up to a minute."""

SILENCE_SECONDS = 10.0
"""How much longer to wait for peers that poll late."""

MAX_POLL_GAP_SECONDS = 10.0
"""After a longer pause a process may have missed that its probe was lost, and writes another one."""

PROBE_TTL_SECONDS = 600
"""Every verification is finished long before; what a killed process left of one is then dropped from Redis."""


class NotSameMount(Exception):
    """``peer_id`` and this process do not see the same files."""

    def __init__(self, peer_id: str, found: str) -> None:
        super().__init__(found)
        self.peer_id = peer_id


class Verification(Enum):
    PENDING = "pending"
    """Call again soon."""
    VERIFIED = "verified"
    """A peer sees the same files."""
    UNVERIFIED = "unverified"
    """There is no peer, or none replied."""


class _Sight(StrEnum):
    """What a process sees of a file; a reply in Redis is one of these."""

    SEEN = "seen"
    UNSEEN = "unseen"
    UNREADABLE = "unreadable"


class _Announcement(BaseModel):
    """A probe, as it is announced in Redis to those who must read its content from storage."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    sha256: str
    announced_at: float = Field(alias="asked_at")
    """By the clock of Redis."""


@dataclass(frozen=True)
class _Probe:
    nonce: str
    token: bytes = b""
    """Its content; empty for the probe of another process."""
    peers: frozenset[str] = frozenset()
    """The members that are asked to look for it."""

    @property
    def key(self) -> str:
        return f"{keys.PROBE}/{self.nonce}"

    def reply_key(self, peer_id: str) -> str:
        return f"{self.key}.{peer_id}"


class MountVerifier:
    """Verifies the mount for one process, and replies to the probes of others.

    All methods but ``clean_up`` may raise ``QueueUnavailable`` and ``StorageError``. None may be called by two threads
    at the same time.
    """

    def __init__(
        self,
        redis: RedisDatabase,
        storage: StorageBackend,
        *,
        member_id: str,
        visibility_timeout_seconds: float,
        silence_seconds: float = SILENCE_SECONDS,
        max_poll_gap_seconds: float = MAX_POLL_GAP_SECONDS,
    ) -> None:
        self._redis = redis
        self._storage = storage
        self._member_id = member_id
        self._replies_key = redis.key("guard:answers:")
        self._visibility_timeout_seconds = visibility_timeout_seconds
        self._silence_seconds = silence_seconds
        self._max_poll_gap_seconds = max_poll_gap_seconds
        self._probe: _Probe | None = None
        self._announced_at = self._polled_at = 0.0
        self._seen_by: dict[str, float] = {}  # when each peer was first found to have seen the probe
        self._reply_keys: dict[str, str] = {}  # the files written for others, by nonce
        self._replied: set[str] = set()

    def prepare(self) -> None:
        """Create the directory of incomplete files as this user, before a process that is refused creates it.

        If it belonged to another user, this process could no longer write.
        """
        self._storage.check()

    def verify_step(self, peer_ids: Iterable[str]) -> Verification:
        """Take the verification one step further.

        Raises:
            NotSameMount: one of the peers does not see the probe, or this process does not see its reply.
        """
        peers = set(peer_ids)
        if not peers:
            self.withdraw_probe()
            return Verification.UNVERIFIED
        probe = self._current_probe(peers) or self._write_probe(peers)
        with translated():
            replies: Any = self._redis.client.hgetall(self._replies_key + probe.nonce)
        verification = self._judge(probe, {peer: _Sight(reply) for peer, reply in replies.items() if peer in peers})
        self._polled_at = time.monotonic()
        if verification is not Verification.PENDING:
            self.withdraw_probe()
        return verification

    def withdraw_probe(self) -> None:
        """Delete the current probe, if any, and everything about it."""
        probe, self._probe = self._probe, None
        if probe is None:
            return
        try:
            self._forget(probe)
        finally:
            self._storage.delete(probe.key)

    def reply_to_probes(self) -> None:
        """Check every probe that this process was asked to look for, once."""
        with translated():
            announced: Any = self._redis.client.hgetall(self._announcements_key(self._member_id))
        self._replied &= announced.keys()
        for nonce in self._reply_keys.keys() - announced.keys():
            self._storage.delete(self._reply_keys[nonce])
            del self._reply_keys[nonce]
        now = self._redis_now() if announced else 0.0
        for nonce, text in announced.items():
            announcement = _Announcement.model_validate_json(text)
            age_seconds = now - announcement.announced_at
            if age_seconds > PROBE_TTL_SECONDS:
                self._forget(_Probe(nonce, peers=frozenset({self._member_id})))
            elif nonce not in self._replied:
                self._reply(_Probe(nonce), announcement.sha256, age_seconds)

    def clean_up(self) -> None:
        """Delete the files of this process, as far as that is possible now. Raises nothing."""
        with suppress(StorageError, QueueUnavailable):
            self.withdraw_probe()
        while self._reply_keys:
            with suppress(StorageError):
                self._storage.delete(self._reply_keys.popitem()[1])

    def _announcements_key(self, peer_id: str) -> str:
        return self._redis.key(f"guard:questions:{peer_id}")

    def _current_probe(self, peers: set[str]) -> _Probe | None:
        """The current probe, if one of these peers can have checked it all the time."""
        if self._probe is None:
            return None
        has_polled = time.monotonic() - self._polled_at <= self._max_poll_gap_seconds
        if has_polled and self._probe.peers & peers and self._is_announced(self._probe):
            return self._probe
        self.withdraw_probe()
        return None

    def _is_announced(self, probe: _Probe) -> bool:
        with translated():
            pipeline = self._redis.client.pipeline(transaction=False)
            for peer_id in probe.peers:
                pipeline.hexists(self._announcements_key(peer_id), probe.nonce)
            return all(pipeline.execute())

    def _write_probe(self, peers: set[str]) -> _Probe:
        probe = self._probe = _Probe(secrets.token_hex(16), secrets.token_hex(32).encode(), frozenset(peers))
        put_bytes(self._storage, probe.key, probe.token, content_type="text/plain")
        announcement = _Announcement(sha256=_sha256(probe.token), announced_at=self._redis_now())
        with translated():
            pipeline = self._redis.client.pipeline(transaction=False)
            for peer_id in probe.peers:
                pipeline.hset(
                    self._announcements_key(peer_id), probe.nonce, announcement.model_dump_json(by_alias=True)
                )
                pipeline.expire(self._announcements_key(peer_id), PROBE_TTL_SECONDS)
            pipeline.execute()
        self._announced_at = time.monotonic()
        self._seen_by.clear()
        return probe

    def _judge(self, probe: _Probe, replies: dict[str, _Sight]) -> Verification:
        now, seconds = time.monotonic(), f"{self._visibility_timeout_seconds:.0f} s"
        for peer in [peer for peer, sight in replies.items() if sight is _Sight.SEEN]:
            waited_seconds = now - self._seen_by.setdefault(peer, now)
            # Not read before the peer reports that it is there: NFS caches that a file was missing.
            found, _ = self._read(probe.reply_key(peer), _sha256(_reply_content(probe.token, peer)))
            if found is _Sight.SEEN:
                return Verification.VERIFIED
            if waited_seconds > self._visibility_timeout_seconds:
                self._give_up(peer, _found("this process", found, f"a file that it wrote {seconds} ago"))
        for peer, sight in replies.items():
            if sight is not _Sight.SEEN:
                self._give_up(peer, _found("it", sight, f"a file that this process wrote {seconds} ago"))
        timeout_seconds = self._visibility_timeout_seconds + self._silence_seconds
        is_silent = not replies and now - self._announced_at > timeout_seconds
        return Verification.UNVERIFIED if is_silent else Verification.PENDING

    def _give_up(self, peer_id: str, found: str) -> NoReturn:
        with suppress(StorageError, QueueUnavailable):
            self.withdraw_probe()
        raise NotSameMount(peer_id, found)

    def _reply(self, probe: _Probe, sha256: str, age_seconds: float) -> None:
        sight, token = self._read(probe.key, sha256)
        if sight is _Sight.SEEN:
            key = self._reply_keys[probe.nonce] = probe.reply_key(self._member_id)
            with suppress(AlreadyExists):
                put_bytes(self._storage, key, _reply_content(token, self._member_id), content_type="text/plain")
            self._record_reply(probe.nonce, sight)
            self._replied.add(probe.nonce)
        elif age_seconds > self._visibility_timeout_seconds:
            self._record_reply(probe.nonce, sight)

    def _read(self, key: str, sha256: str) -> tuple[_Sight, bytes]:
        """Whether the file with this digest is there, and its content."""
        try:
            data = read_bytes(self._storage, key)
        except NotFound:
            return _Sight.UNSEEN, b""
        except StorageUnavailable:
            self._storage.check()  # raises if not only this file is unavailable
            return _Sight.UNREADABLE, b""
        return (_Sight.SEEN if _sha256(data) == sha256 else _Sight.UNSEEN), data

    def _record_reply(self, nonce: str, sight: _Sight) -> None:
        with translated():
            self._redis.client.hset(self._replies_key + nonce, self._member_id, sight.value)
            self._redis.client.expire(self._replies_key + nonce, PROBE_TTL_SECONDS)

    def _forget(self, probe: _Probe) -> None:
        with translated():
            pipeline = self._redis.client.pipeline(transaction=False)
            for peer_id in probe.peers:
                pipeline.hdel(self._announcements_key(peer_id), probe.nonce)
            pipeline.delete(self._replies_key + probe.nonce)
            pipeline.execute()

    def _redis_now(self) -> float:
        with translated():
            seconds, microseconds = self._redis.client.time()
        return float(seconds + microseconds / 1e6)


def new_mount_verifier(
    settings: Settings, redis: RedisDatabase, storage: StorageBackend, *, member_id: str
) -> MountVerifier | None:
    """For this process, if its storage needs one."""
    if settings.storage_type != "local":
        return None
    timeout_seconds = VISIBILITY_TIMEOUT_SECONDS
    return MountVerifier(redis, storage, member_id=member_id, visibility_timeout_seconds=timeout_seconds)


def _found(process: str, sight: _Sight, file: str) -> str:
    if sight is _Sight.UNREADABLE:
        return f"{process} may not read {file} (do both run as the same user?)"
    return f"{process} has not seen {file}"


def _reply_content(token: bytes, peer_id: str) -> bytes:
    return _sha256(token + peer_id.encode()).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
