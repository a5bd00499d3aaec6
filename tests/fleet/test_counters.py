"""The sums in Redis of what all processes count."""

from collections.abc import Mapping
from typing import Any

import pytest

from clipzy_storage.errors import QueueUnavailable
from clipzy_storage.fleet.counters import CounterStore
from clipzy_storage.jobs.store import JobStore
from clipzy_storage.jobs.types import ReleaseReason
from clipzy_storage.metrics.counts import Counts
from clipzy_storage.metrics.definitions import METRICS
from clipzy_storage.metrics.sender import MetricsSender, Send
from clipzy_storage.models.records import ErrorCode
from clipzy_storage.redis_client import RedisDatabase
from tests.support.jobs import claimed, finish, reap_twice, submitted
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

LOST, UPLOADS, STAGE = "clipzy_attempts_lost_total", "clipzy_upload_bytes_total", "clipzy_stage_seconds"
ENDS = "clipzy_jobs_finished_total"


def counters_of(store: CounterStore, name: str) -> dict[tuple[str, ...], int]:
    """Those that are not 0."""
    return {values: number for values, number in store.read().counters[name].items() if number}


def test_what_several_processes_count_is_added_up(counters: CounterStore) -> None:
    first, second = Counts(), Counts()
    for counts in (first, second):
        counts.count(UPLOADS, 100, method="tus")
        counts.observe(STAGE, 0.3, stage="import")
        MetricsSender(counters.add, counts=counts).flush()
    second.observe(STAGE, 7000, stage="import")
    MetricsSender(counters.add, counts=second).flush()

    assert counters_of(counters, UPLOADS) == {("tus",): 200}
    histogram = counters.read().histograms[STAGE]["import",]
    assert histogram.sum_seconds == pytest.approx(7000.6)
    assert histogram.cumulative(METRICS[STAGE].buckets)[:3] == [("0.1", 0), ("0.5", 2), ("1", 2)]
    assert histogram.cumulative(METRICS[STAGE].buckets)[-2:] == [("3600", 2), ("+Inf", 3)]


def test_a_batch_that_is_sent_twice_counts_once(counters: CounterStore) -> None:
    for number in (0, 0, 1, 1):
        counters.add("a", number, {LOST: 1})
    counters.add("b", 0, {LOST: 1})

    assert counters_of(counters, LOST) == {(): 3}


def test_what_is_known_beforehand_is_shown_from_the_start_as_zero(counters: CounterStore) -> None:
    sums = counters.read()

    assert sums.counters[LOST] == {(): 0}
    assert sums.counters[ENDS] == dict.fromkeys(
        [("completed", ""), ("cancelled", ""), *(("failed", code.value) for code in ErrorCode)], 0
    )
    assert sums.histograms[STAGE]["import",].cumulative((1.0,)) == [("1", 0), ("+Inf", 0)]


def test_fields_of_another_version_are_left_out(counters: CounterStore) -> None:
    counters.add("a", 0, {"clipzy_gone_total|x": 1, f"{LOST}|x": 1, LOST: 1})

    assert counters_of(counters, LOST) == {(): 1}


def test_counts_wait_for_redis_and_survive_its_restart(own_redis: RedisServer) -> None:
    # Given a process whose Redis dies, and that counts meanwhile
    store, counts = CounterStore(RedisDatabase(own_redis.url, answer_seconds=1)), Counts()
    sender = MetricsSender(store.add, counts=counts, interval_seconds=0.05)
    sender.start()
    counts.count(LOST)
    assert eventually(lambda: counters_of(store, LOST) == {(): 1})
    own_redis.kill()
    counts.count(LOST, 2)
    sender.flush()
    counts.count(LOST, 4)

    # When it comes back, then everything is there once, what it knew before included
    own_redis.start()
    assert eventually(lambda: counters_of(store, LOST) == {(): 7})

    # And only an emptied Redis starts anew
    own_redis.forget_everything(open_guard=True)
    counts.count(LOST)
    assert eventually(lambda: counters_of(store, LOST) == {(): 1})
    sender.stop()


def send_two_batches(send: Send) -> None:
    """Counts 1 and sends it, then 5 and sends that."""
    counts = Counts()
    sender = MetricsSender(send, counts=counts)
    for amount in (1, 5):
        counts.count(LOST, amount)
        sender.flush()


def test_an_answer_that_is_lost_does_not_count_twice() -> None:
    # Given a Redis that carries out what it is sent, and whose answer is lost once
    received: list[tuple[int, dict[str, int]]] = []

    def send(_sender: str, number: int, batch: Any) -> None:
        received.append((number, dict(batch)))
        if len(received) == 1:
            raise QueueUnavailable("the connection broke", certain=False)

    # When it is asked again, then the same batch comes under the same number, and the rest under the next
    send_two_batches(send)
    assert received == [(0, {LOST: 1}), (0, {LOST: 1}), (1, {LOST: 5})]


def test_a_batch_that_fails_costs_no_other(counters: CounterStore) -> None:
    # Given a batch that was added, and of whose answer nothing could be made
    def send(sender: str, number: int, batch: Mapping[str, int]) -> None:
        counters.add(sender, number, batch)
        if number == 0:
            raise ValueError("an answer that is none")

    # When there is another one, then it is counted as well
    send_two_batches(send)
    assert counters_of(counters, LOST) == {(): 6}


def test_nothing_is_sent_while_nothing_is_counted(redis: RedisDatabase, redis_client: Any) -> None:
    counts = Counts()
    sender = MetricsSender(CounterStore(redis).add, counts=counts, interval_seconds=0.01)
    counts.count(LOST)
    sender.flush()
    before = redis_client.info("commandstats")

    sender.start()
    for _ in range(3):
        sender.flush()

    assert {**redis_client.info("commandstats"), "cmdstat_info": 0} == {**before, "cmdstat_info": 0}
    sender.stop()


class TestJobsCountThemselves:
    """In the script that changes their state, so that a repeated call counts once."""

    def test_an_end(self, store: JobStore, counters: CounterStore) -> None:
        # Given a completed, a failed and a cancelled job
        claim = claimed(store, submitted(store).job_id)
        store.commit(claim, attempt_prefix="p/", result_sha256="0" * 64)
        pending = store.pending_completion(claim.job.job_id, claim.token)
        assert pending
        for _ in range(2):
            store.finish(pending.job, claim.token)
        failed = claimed(store, submitted(store).job_id)
        store.fail(failed.job.job_id, failed.token, ErrorCode.INVALID_MEDIA, "it is no video")
        finish(store, failed.job.job_id, failed.token)
        waiting = submitted(store).job_id
        finish(store, waiting, store.request_cancellation(waiting, nonce="n").token)

        # Then each has been counted once
        expected = {("completed", ""): 1, ("failed", "INVALID_MEDIA"): 1, ("cancelled", ""): 1}
        assert counters_of(counters, ENDS) == expected

    def test_a_lost_worker(self, store: JobStore, counters: CounterStore, redis_client: Any) -> None:
        claimed(store, submitted(store).job_id)

        reap_twice(store, redis_client)

        assert counters_of(counters, LOST) == {(): 1}

    @pytest.mark.parametrize("reason", ["preempted", "transient", "crashed"])
    def test_a_release_is_no_loss(self, store: JobStore, counters: CounterStore, reason: ReleaseReason) -> None:
        store.release(claimed(store, submitted(store).job_id), reason)

        assert counters_of(counters, LOST) == counters_of(counters, ENDS) == {}
