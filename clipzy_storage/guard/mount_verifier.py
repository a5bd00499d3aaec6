"""Rule 4 of the guard: the proof that a folder which is declared shared is one and the same for everybody.

Who asks writes a fresh file and says in Redis that it is there; whoever sees the file answers with another that only
its reader can write. So both directions are shown, which neither names of mounts nor the storage's identity can do: a
copied folder has the same identity. A bucket needs no proof: every client of it talks to the one service.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from clipzy_storage import keys
from clipzy_storage.backends.base import StorageBackend, put_bytes, read_bytes
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import AlreadyExists, NotFound, QueueUnavailable, StorageError, StorageUnavailable
from clipzy_storage.redis_client import RedisDatabase, translated

PROOF_SECONDS = 90.0  # network filesystems show a new file up to a minute late
SILENCE_SECONDS = 10.0  # more, for peers that look late
AWAY_SECONDS = 10.0  # who has not looked for so long may have missed that its question was lost, and asks anew
FORGET_SECONDS = 600  # every question is settled long before; what a killed asker left of one is dropped then

_SEEN, _UNSEEN, _UNREADABLE = "seen", "unseen", "unreadable"


class NotSameMount(Exception):
    """``peer_id`` and this process do not see the same files."""

    def __init__(self, peer_id: str, found: str) -> None:
        super().__init__(found)
        self.peer_id = peer_id


class _Question(NamedTuple):
    nonce: str
    token: bytes

    @property
    def key(self) -> str:
        return f"{keys.PROBE}/{self.nonce}"

    def echo_key(self, peer_id: str) -> str:
        return f"{self.key}.{peer_id}"


class MountVerifier:
    """Asks for one process, and answers for it.

    All methods but ``retire`` may raise ``QueueUnavailable`` and ``StorageError``. None is to be called by two threads
    at once.
    """

    def __init__(
        self,
        redis: RedisDatabase,
        storage: StorageBackend,
        *,
        member_id: str,
        proof_seconds: float,
    ) -> None:
        """``proof_seconds`` is how long a file that was written may stay unseen."""
        self._redis = redis
        self._storage = storage
        self._member_id = member_id
        self._questions = redis.key("guard:questions")
        self._answers = redis.key("guard:answers:")
        self._proof_seconds = proof_seconds
        self._question: _Question | None = None
        self._asked_at = self._looked_at = 0.0
        self._seen_by: dict[str, float] = {}  # who says to have seen the file, and when we heard that first
        self._echoes: dict[str, str] = {}  # by nonce: what we wrote for others
        self._answered: set[str] = set()

    def settle(self) -> None:
        """Make the folder of unfinished files ours, before one is made here by somebody who is refused afterwards.

        Where another user has made it, this process could write no more.
        """
        self._storage.check()

    def ask(self, peer_ids: Iterable[str]) -> bool | None:
        """Go one step on: true once a peer has proved it, false where all kept silent, ``None``: ask again soon.

        Raises:
            Disproved: one of the peers does not see our file, or we do not see its answer.
        """
        peers = set(peer_ids)
        if not peers:
            self.withdraw()
            return False
        question = self._standing() or self._announce()
        with translated():
            said: Any = self._redis.client.hgetall(self._answers + question.nonce)
        verdict = self._verdict(question, {peer: word for peer, word in said.items() if peer in peers})
        self._looked_at = time.monotonic()
        if verdict is not None:
            self.withdraw()
        return verdict

    def withdraw(self) -> None:
        """Forget the question that is open, if any, and take away its traces."""
        question, self._question = self._question, None
        if question is None:
            return
        try:
            with translated():
                self._redis.client.hdel(self._questions, question.nonce)
                self._redis.client.delete(self._answers + question.nonce)
        finally:
            self._storage.delete(question.key)

    def answer(self) -> None:
        """Look at every question of others once."""
        with translated():
            asked: Any = self._redis.client.hgetall(self._questions)
        self._answered &= asked.keys()
        for nonce in self._echoes.keys() - asked.keys():
            self._storage.delete(self._echoes[nonce])
            del self._echoes[nonce]
        now = self._redis_now() if asked else 0.0
        for nonce, text in asked.items():
            about = json.loads(text)
            age_seconds = now - about["asked_at"]
            if age_seconds > FORGET_SECONDS:
                self._forget(nonce)
            elif about["asker"] != self._member_id and nonce not in self._answered:
                self._answer_one(_Question(nonce, b""), about["sha256"], age_seconds)

    def retire(self) -> None:
        """Leave nothing behind, as far as that is possible now. Raises nothing."""
        with suppress(StorageError, QueueUnavailable):
            self.withdraw()
        while self._echoes:
            with suppress(StorageError):
                self._storage.delete(self._echoes.popitem()[1])

    def _standing(self) -> _Question | None:
        """The question that is open, if the others can have looked at it all the time."""
        if self._question is None:
            return None
        was_away = time.monotonic() - self._looked_at > AWAY_SECONDS
        with translated():
            if not was_away and self._redis.client.hexists(self._questions, self._question.nonce):
                return self._question
        self.withdraw()
        return None

    def _announce(self) -> _Question:
        question = self._question = _Question(secrets.token_hex(16), secrets.token_hex(32).encode())
        put_bytes(self._storage, question.key, question.token, content_type="text/plain")
        about = {"asker": self._member_id, "sha256": _sha256(question.token), "asked_at": self._redis_now()}
        with translated():
            self._redis.client.hset(self._questions, question.nonce, json.dumps(about))
            self._redis.client.expire(self._questions, FORGET_SECONDS)
        self._asked_at = time.monotonic()
        self._seen_by.clear()
        return question

    def _verdict(self, question: _Question, said: dict[str, str]) -> bool | None:
        now, seconds = time.monotonic(), f"{self._proof_seconds:.0f} s"
        for peer in [peer for peer, word in said.items() if word == _SEEN]:
            waited_seconds = now - self._seen_by.setdefault(peer, now)
            # Not looked for before the peer says that it is there: a look that comes too early is remembered by NFS.
            found, _ = self._look(question.echo_key(peer), _sha256(_echo(question.token, peer)))
            if found == _SEEN:
                return True
            if waited_seconds > self._proof_seconds:
                self._give_up(peer, _blindness(found, "this process", f"a file that it wrote {seconds} ago"))
        for peer, word in said.items():
            if word != _SEEN:
                self._give_up(peer, _blindness(word, "it", f"a file that this process wrote {seconds} ago"))
        is_silent = not said and now - self._asked_at > self._proof_seconds + SILENCE_SECONDS
        return False if is_silent else None

    def _give_up(self, peer_id: str, found: str) -> NoReturn:
        with suppress(StorageError, QueueUnavailable):
            self.withdraw()
        raise NotSameMount(peer_id, found)

    def _answer_one(self, question: _Question, sha256: str, age_seconds: float) -> None:
        found, token = self._look(question.key, sha256)
        if found == _SEEN:
            key = self._echoes[question.nonce] = question.echo_key(self._member_id)
            with suppress(AlreadyExists):
                put_bytes(self._storage, key, _echo(token, self._member_id), content_type="text/plain")
            self._say(question.nonce, _SEEN)
            self._answered.add(question.nonce)
        elif age_seconds > self._proof_seconds:
            self._say(question.nonce, found)

    def _look(self, key: str, sha256: str) -> tuple[str, bytes]:
        """How the file presents itself, and what is in it."""
        try:
            data = read_bytes(self._storage, key)
        except NotFound:
            return _UNSEEN, b""
        except StorageUnavailable:
            self._storage.check()  # raises where it is not this file alone
            return _UNREADABLE, b""
        return (_SEEN if _sha256(data) == sha256 else _UNSEEN), data

    def _say(self, nonce: str, word: str) -> None:
        with translated():
            self._redis.client.hset(self._answers + nonce, self._member_id, word)
            self._redis.client.expire(self._answers + nonce, FORGET_SECONDS)

    def _forget(self, nonce: str) -> None:
        with translated():
            self._redis.client.hdel(self._questions, nonce)
            self._redis.client.delete(self._answers + nonce)

    def _redis_now(self) -> float:
        with translated():
            seconds, microseconds = self._redis.client.time()
        return float(seconds + microseconds / 1e6)


def new_mount_verifier(
    settings: Settings, redis: RedisDatabase, storage: StorageBackend, *, member_id: str
) -> MountVerifier | None:
    """For this process, where the storage is one that needs a proof."""
    if settings.storage_type != "local":
        return None
    return MountVerifier(redis, storage, member_id=member_id, proof_seconds=PROOF_SECONDS)


def _blindness(word: str, who: str, file: str) -> str:
    if word == _UNREADABLE:
        return f"{who} may not read {file} (do both run as the same user?)"
    return f"{who} has not seen {file}"


def _echo(token: bytes, peer_id: str) -> bytes:
    return _sha256(token + peer_id.encode()).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
