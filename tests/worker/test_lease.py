"""The thread that renews a worker's lease, on a real Redis."""

from typing import Any

from clipzy_storage import keys
from clipzy_storage.errors import CancellationRequested
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import Claim, LeaseState
from clipzy_storage.redis_client import RedisDatabase
from clipzy_worker.processing.lease import HeldLease, LeaseRenewer
from tests.support.jobs import claimed, submitted
from tests.support.waiting import eventually

LEASE_SECONDS = 8


def is_cancelled(lease: HeldLease) -> bool:
    try:
        lease.check()
    except CancellationRequested:
        return True
    return False


def test_a_lease_is_renewed_well_before_it_expires(redis_url: str, redis_client: Any) -> None:
    # Given a worker that holds a job and has no progress to report
    store = JobStore(RedisDatabase(redis_url), lease_seconds=LEASE_SECONDS)
    claim = claimed(store, submitted(store).job_id)

    def expires_ms() -> int:
        return int(redis_client.zscore(f"{keys.REDIS_PREFIX}jobs:leases", claim.job.job_id))

    first_ms = expires_ms()
    # When its lease is renewed
    with LeaseRenewer(store).held(claim, stage="video_analysis"):
        extended_ms = eventually(lambda: expires_ms() - first_ms, "a heartbeat", seconds=5 * LEASE_SECONDS)
    # Then the lease before was still good for a while: one heartbeat, or two, may be lost
    assert extended_ms < 0.75 * LEASE_SECONDS * 1000


class OddStore(JobStore):
    """Has a reply once that cannot be understood, as from a server of another version."""

    has_failed = False

    def lease_state(self, claim: Claim) -> LeaseState:
        if not self.has_failed:
            self.has_failed = True
            return LeaseState("unheard of")
        return super().lease_state(claim)


def test_a_lease_is_renewed_after_a_reply_that_was_not_understood(redis_url: str, logged: list[Any]) -> None:
    # Given a worker whose lease is being renewed, and a reply that cannot be understood
    store = OddStore(RedisDatabase(redis_url), lease_seconds=60)
    claim = claimed(store, submitted(store).job_id)
    with LeaseRenewer(store).held(claim, stage="video_analysis") as lease:
        eventually(lambda: [line for line in logged if line["event"] == "lease.failed"], "the reply")
        # When something happens to the job
        store.request_cancellation(claim.job.job_id, nonce="c")
        # Then the worker hears of it all the same
        assert eventually(lambda: is_cancelled(lease))
