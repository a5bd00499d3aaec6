"""Rule 4 of the guard: the proof that a folder which is declared shared is one and the same for everybody.

Who asks writes a fresh file and says in Redis that it is there; whoever sees the file answers with another that only
its reader can write. So both directions are shown, which neither names of mounts nor the storage's identity can do: a
copied folder has the same identity. A bucket needs no proof: every client of it talks to the one service.
"""

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from clipzy_storage import keys, redis_client
from clipzy_storage.base import Storage, put_bytes, read_bytes
from clipzy_storage.errors import AlreadyExists, NotFound, StorageError

PROOF_SECONDS = 90.0  # network filesystems show a new file up to a minute late
SILENCE_SECONDS = 10.0  # more, for peers that have noticed late
FORGET_SECONDS = 3600  # what a crash left of a question in Redis

_SEEN, _UNSEEN = "seen", "unseen"

log = logging.getLogger(__name__)


class Disproved(Exception):
    """``peer_id`` and this process do not see the same files."""

    def __init__(self, peer_id: str, found: str) -> None:
        super().__init__(found)
        self.peer_id = peer_id


class _Question(NamedTuple):
    nonce: str
    token: bytes
    asked_at: float

    @property
    def key(self) -> str:
        return f"{keys.PROBE}/{self.nonce}"


class Prover:
    """Asks for one process, and answers for it. All methods may raise ``QueueUnavailable`` and ``StorageError``."""

    def __init__(
        self,
        redis_url: str,
        storage: Storage,
        *,
        member_id: str,
        prefix: str = keys.REDIS_PREFIX,
        proof_seconds: float = PROOF_SECONDS,
    ) -> None:
        self._redis = redis_client.connect(redis_url)
        self._storage = storage
        self._member_id = member_id
        self._questions = f"{prefix}guard:questions"
        self._answers = f"{prefix}guard:answers:"
        self._proof_seconds = proof_seconds
        self._question: _Question | None = None
        self._noticed_at: dict[str, float] = {}
        self._echoes: dict[str, str] = {}

    def ask(self, peer_ids: Iterable[str]) -> bool | None:
        """Go one step on: true once a peer has proved it, false where all kept silent, ``None``: ask again soon.

        Raises:
            Disproved: one of the peers does not see our file, or we do not see its answer.
        """
        peers = set(peer_ids)
        if not peers:
            self.withdraw()
            return False
        question = self._question = self._question or self._announce()
        waited_seconds = time.monotonic() - question.asked_at
        said = {peer: word for peer, word in self._said(question).items() if peer in peers}
        verdict = self._verdict(question, said, waited_seconds)
        if verdict is not None:
            self.withdraw()
        return verdict

    def withdraw(self) -> None:
        """Forget the question that is open, if any, and take away its traces."""
        question, self._question = self._question, None
        if question is None:
            return
        with redis_client.translated():
            self._redis.hdel(self._questions, question.nonce)
            self._redis.delete(self._answers + question.nonce)
        self._storage.delete(question.key)

    def answer(self) -> None:
        """Look at every question of others once."""
        with redis_client.translated():
            asked: Any = self._redis.hgetall(self._questions)
        for nonce in self._echoes.keys() - asked.keys():
            self._storage.delete(self._echoes.pop(nonce))
        self._noticed_at = {nonce: at for nonce, at in self._noticed_at.items() if nonce in asked}
        for nonce, text in asked.items():
            about = json.loads(text)
            if about["asker"] != self._member_id and nonce not in self._echoes:
                self._answer_one(nonce, about["sha256"])

    def _announce(self) -> _Question:
        question = _Question(secrets.token_hex(16), secrets.token_hex(32).encode(), time.monotonic())
        put_bytes(self._storage, question.key, question.token, content_type="text/plain")
        about = {"asker": self._member_id, "sha256": hashlib.sha256(question.token).hexdigest()}
        with redis_client.translated():
            self._redis.hset(self._questions, question.nonce, json.dumps(about))
            self._redis.expire(self._questions, FORGET_SECONDS)
        return question

    def _said(self, question: _Question) -> dict[str, str]:
        with redis_client.translated():
            said: Any = self._redis.hgetall(self._answers + question.nonce)
        return dict(said)

    def _verdict(self, question: _Question, said: Mapping[str, str], waited_seconds: float) -> bool | None:
        seen = [peer for peer, word in said.items() if word == _SEEN]
        if any(self._is_echoed(question, peer) for peer in seen):
            return True
        for peer, word in said.items():
            if word == _UNSEEN:
                self._give_up()
                raise Disproved(peer, f"it has not seen a file that this process wrote {self._proof_seconds:.0f} s ago")
        if seen and waited_seconds > self._proof_seconds:
            self._give_up()
            raise Disproved(seen[0], f"this process has not seen a file that it wrote {self._proof_seconds:.0f} s ago")
        return False if waited_seconds > self._proof_seconds + SILENCE_SECONDS else None

    def _give_up(self) -> None:
        with suppress(StorageError):
            self.withdraw()

    def _is_echoed(self, question: _Question, peer: str) -> bool:
        # Looked for only when the peer says that it is there: a look that comes too early is remembered by NFS.
        try:
            return read_bytes(self._storage, f"{question.key}.{peer}") == _echo(question.token, peer)
        except NotFound:
            return False

    def _answer_one(self, nonce: str, sha256: str) -> None:
        since_seconds = time.monotonic() - self._noticed_at.setdefault(nonce, time.monotonic())
        try:
            token = read_bytes(self._storage, f"{keys.PROBE}/{nonce}")
        except NotFound:
            token = b""
        if hashlib.sha256(token).hexdigest() == sha256:
            key = f"{keys.PROBE}/{nonce}.{self._member_id}"
            with suppress(AlreadyExists):
                put_bytes(self._storage, key, _echo(token, self._member_id), content_type="text/plain")
            self._echoes[nonce] = key
            self._say(nonce, _SEEN)
        elif since_seconds > self._proof_seconds:
            self._say(nonce, _UNSEEN)

    def _say(self, nonce: str, word: str) -> None:
        with redis_client.translated():
            self._redis.hset(self._answers + nonce, self._member_id, word)
            self._redis.expire(self._answers + nonce, FORGET_SECONDS)


def _echo(token: bytes, peer: str) -> bytes:
    return hashlib.sha256(token + peer.encode()).hexdigest().encode()
