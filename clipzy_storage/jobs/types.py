"""What the job protocol answers with: claims, leases, pending completions and the outcome of a transition."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from clipzy_storage.errors import IdempotencyMismatch
from clipzy_storage.models.records import Job, Queue
from clipzy_storage.process import ProcessIdentity

ReleaseReason = Literal["preempted", "transient", "crashed"]

NotifyWorkers = Callable[[str, Queue], object]
"""Tells workers that the job with this id waits in this queue. Raises nothing: the reaper repeats what was lost."""


@dataclass(frozen=True)
class Claim:
    """One process' claim on one job, valid until the lease expires without a heartbeat."""

    job: Job
    token: str
    """Fences off every other process: a transition with another token is refused."""
    nonce: str
    """Distinguishes this claim from any other, also across a failover of Redis."""
    is_reconciled: bool = True
    """False while storage may know more about the job than this Redis does."""
    age: timedelta = timedelta()
    """Time since the job was created, by the clock of Redis."""


@dataclass(frozen=True)
class PendingCompletion:
    """A job whose outcome is fixed but not yet durable and visible."""

    job: Job
    token: str
    attempt_prefix: str
    result_sha256: str
    cancellation_requested: bool
    may_have_other_attempts: bool
    """Other attempts at the job may have written files."""


@dataclass(frozen=True)
class IdempotencyKey:
    """The client's own name for one request, and a digest of what was sent with it."""

    text: str
    fingerprint: str


@dataclass(frozen=True)
class Submitted:
    """``job`` is None where the Idempotency-Key was used before, for the job or video ``first_id``."""

    first_id: str
    job: Job | None = None

    @classmethod
    def first(cls, verdict: str, first_id: str) -> "Submitted":
        """The first request under the key. Raises ``IdempotencyMismatch`` if that is the verdict."""
        if verdict == "mismatch":
            raise IdempotencyMismatch
        return cls(first_id)


@dataclass(frozen=True)
class Work:
    """What a worker has done for a result: it has analysed so many bytes of video in this time."""

    size_bytes: int
    seconds: float


class CancelVerdict(StrEnum):
    PENDING = "pending"
    """The job was waiting; the caller completes it with the token."""
    REQUESTED = "requested"
    """The holder of the job ends it."""
    FINISHED = "finished"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class CancelRequest:
    """What Redis answered to a cancellation; ``token`` is empty unless the verdict is ``PENDING``."""

    verdict: CancelVerdict
    token: str


class Released(StrEnum):
    """What became of a job that its holder gave back."""

    QUEUED = "queued"
    """It waits again; workers must be notified."""
    DELAYED = "delayed"
    """It waits for its time; the reaper notifies workers then."""
    PENDING = "pending"
    """It failed or was cancelled; the caller completes it."""


class LeaseState(StrEnum):
    HELD = "held"
    CANCELLATION_REQUESTED = "cancel"
    LOST = "lost"


@dataclass(frozen=True)
class Lease:
    """A job that a process holds, and which process that is."""

    job_id: str
    token: str
    holder: ProcessIdentity | None


@dataclass(frozen=True)
class Reaped:
    """Jobs that one pass took from lost workers."""

    requeued: list[tuple[str, Queue]]
    """Ids, and the queue of each; workers must be notified of them."""
    adopted: list[tuple[str, str]]
    """Ids and tokens; the caller must complete these jobs."""
