"""The guard's rules on a real Redis. Rules that need whole processes are in tests/e2e."""

import json
from dataclasses import replace
from typing import Any

import pytest

from clipzy_storage import keys
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.config.redis_url import RedisUrl
from clipzy_storage.errors import ConfigurationError, QueueUnavailable
from clipzy_storage.guard import members
from clipzy_storage.guard.guard import Guard
from clipzy_storage.guard.members import HEARTBEAT_WINDOW_SECONDS, Member, Role
from clipzy_storage.guard.refusals import Refused, RetryLater, refusal_by_settings
from clipzy_storage.log_events import GUARD_STORAGE_REPLACED
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.redis_check import check_server
from clipzy_storage.redis_client import RedisDatabase

HEARTBEATS = f"{keys.REDIS_PREFIX}guard:beats"
MEMBERS = f"{keys.REDIS_PREFIX}guard:members"
GONE = replace(ProcessIdentity.own(), start_ticks="1")
ELSEWHERE = replace(ProcessIdentity.own(), host="another-host", boot_id="another-boot")


def member(
    name: str,
    *,
    role: Role = "worker",
    storage_id: str = "s1",
    exclusive: bool = True,
    process: ProcessIdentity | None = None,
) -> Member:
    return Member(
        name=name,
        role=role,
        storage_id=storage_id,
        storage="/srv/clips",
        exclusive=exclusive,
        process=process or ProcessIdentity.own(),
    )


def guarding(redis_url: str, member: Member, *, window_seconds: float = HEARTBEAT_WINDOW_SECONDS) -> Guard:
    return Guard(RedisDatabase(redis_url), member, member_id=member.name, window_seconds=window_seconds)


def join(redis_url: str, member: Member) -> Guard:
    joined = guarding(redis_url, member)
    joined.join()
    return joined


def let_pass(redis_client: Any, name: str, *, seconds: float) -> None:
    """What time does to a member that sends no heartbeats, without waiting for it."""
    redis_client.zincrby(HEARTBEATS, -seconds * 1000, name)


@pytest.mark.parametrize(
    ("given", "is_refused"),
    [
        ({}, False),
        ({"WORKER_COUNT": "2"}, True),
        ({"WORKER_COUNT": "2", "LOCAL_STORAGE_SHARED": "true"}, False),
        ({"WORKER_COUNT": "1", "LOCAL_STORAGE_SHARED": "true"}, False),
    ],
)
def test_rule_1_by_settings(given: dict[str, str], is_refused: bool) -> None:
    refusal = refusal_by_settings(settings_from_env(given))
    assert (refusal is not None) == is_refused
    if refusal is not None:
        for needed in ("WORKER_COUNT=2", "run one worker", "LOCAL_STORAGE_SHARED=true", "STORAGE_TYPE=s3"):
            assert needed in refusal


def test_rule_2_a_second_worker_is_refused_and_the_first_continues(redis_url: str) -> None:
    # Given a worker on undeclared local storage
    first = join(redis_url, member("first"))
    # When a second one joins
    with pytest.raises(Refused) as caught:
        join(redis_url, member("second"))
    # Then the message names the first and the ways out, and the first is undisturbed
    for needed in ("worker first", "/srv/clips", "run one worker", "LOCAL_STORAGE_SHARED=true", "STORAGE_TYPE=s3"):
        assert needed in str(caught.value)
    first.heartbeat()
    first.admit()
    assert [live.name for live in first.members()] == ["first"]


@pytest.mark.parametrize("exclusive", [(True, False), (False, True)])
def test_rule_2_one_undeclared_among_declared_is_enough(redis_url: str, exclusive: tuple[bool, bool]) -> None:
    join(redis_url, member("first", exclusive=exclusive[0]))
    with pytest.raises(Refused):
        join(redis_url, member("second", exclusive=exclusive[1]))


def test_declared_workers_and_front_ends_join_freely(redis_url: str) -> None:
    for number in range(3):
        join(redis_url, member(f"worker-{number}", exclusive=False))
    for number in range(2):
        last = join(redis_url, member(f"web-{number}", role="web", exclusive=True))
    assert [member.role for member in last.members()].count("worker") == 3


def test_a_member_of_an_older_version_is_understood_and_reads_the_record_of_this_one(
    redis_url: str, redis_client: Any
) -> None:
    # Given the record of a live worker as versions before this one wrote it
    identity = ProcessIdentity.own().as_dict()
    old = {"name": "old", "role": "worker", "storage_id": "s1", "storage": "/srv", "alone": True, "process": identity}
    join(redis_url, member("old"))
    redis_client.hset(MEMBERS, "old", json.dumps(old))
    # Then it is listed and keeps its place
    with pytest.raises(Refused, match=r"already running: worker old \(process \d+ on .*, storage /srv\)"):
        join(redis_url, member("new"))
    # And this version writes the same fields, and those that have come since
    join(redis_url, member("web", role="web"))
    written = json.loads(redis_client.hget(MEMBERS, "web"))
    since = {"queues": [], "slots": 0, "webhooks": False}
    assert written == old | {"name": "web", "role": "web", "storage": "/srv/clips", **since}


def test_rule_3_another_storage_is_refused_whatever_the_role(redis_url: str) -> None:
    # Given one front end
    join(redis_url, member("web", role="web", storage_id="s1"))
    # Then one worker on another disk is refused, declared or not
    for exclusive in (True, False):
        with pytest.raises(Refused) as caught:
            join(redis_url, member("worker", storage_id="s2", exclusive=exclusive))
        for needed in ("s1", "s2", "front end web", "files go missing", "LOCAL_STORAGE_PATH"):
            assert needed in str(caught.value)


def test_rule_3_a_storage_without_live_members_is_replaced_with_a_warning(redis_url: str, logged: list[Any]) -> None:
    # Given a pinned storage whose users have all left
    join(redis_url, member("old", storage_id="s1")).leave()
    # When one with a new storage joins
    join(redis_url, member("new", storage_id="s2"))
    # Then the new one is pinned, and that is logged
    assert members.pinned_storage_id(RedisDatabase(redis_url)) == "s2"
    assert (GUARD_STORAGE_REPLACED, "s1") in [(line["event"], line.get("previous_storage_id")) for line in logged]


def test_rule_5_a_process_that_no_longer_exists_is_removed_immediately(redis_url: str) -> None:
    # Given a worker whose process was killed a moment ago
    join(redis_url, member("killed", process=GONE))
    # Then its successor joins without waiting
    assert [live.name for live in join(redis_url, member("successor")).members()] == ["successor"]


def test_rule_5_a_silent_member_on_another_host_expires_after_30_seconds(redis_url: str, redis_client: Any) -> None:
    # Given a worker on another host that has been silent for 12 seconds
    join(redis_url, member("far", process=ELSEWHERE))
    let_pass(redis_client, "far", seconds=12)
    successor = guarding(redis_url, member("successor"))
    # Then a joining process is neither admitted nor refused
    for _ in range(2):
        with pytest.raises(RetryLater) as caught:
            successor.join()
        assert 5 < caught.value.seconds <= 18.1
    # Until the silence is 30 seconds old
    let_pass(redis_client, "far", seconds=18.5)
    successor.join()
    assert [live.name for live in successor.members()] == ["successor"]


def test_rule_5_a_member_on_another_host_that_sends_a_heartbeat_is_alive(redis_url: str, redis_client: Any) -> None:
    far = join(redis_url, member("far", process=ELSEWHERE))
    let_pass(redis_client, "far", seconds=12)
    second = guarding(redis_url, member("second"))
    with pytest.raises(RetryLater):
        second.join()
    far.heartbeat()
    with pytest.raises(Refused, match="far"):
        second.join()


def test_rule_5_an_expired_member_that_wakes_finds_another_in_its_place(redis_url: str, redis_client: Any) -> None:
    # Given a worker that was silent for so long that another took its place
    sleeper = join(redis_url, member("sleeper", process=ELSEWHERE))
    let_pass(redis_client, "sleeper", seconds=31)
    join(redis_url, member("successor", process=ELSEWHERE))
    # When it wakes
    with pytest.raises(Refused, match="successor"):
        sleeper.heartbeat()
    with pytest.raises(Refused):
        sleeper.admit()


def test_rule_5_an_empty_redis_makes_joining_processes_wait_but_not_members(redis_url: str, redis_client: Any) -> None:
    # Given a worker, and a Redis that has lost everything
    holder = join(redis_url, member("holder"))
    redis_client.flushall()
    # When another one joins before the worker has sent its next heartbeat
    joining = guarding(redis_url, member("joining"))
    with pytest.raises(RetryLater) as caught:
        joining.join()
    # Then it waits for one window, and the worker is a member again meanwhile
    assert 25 < caught.value.seconds <= 30
    holder.heartbeat()
    redis_client.set(f"{keys.REDIS_PREFIX}guard:since", 1)
    redis_client.set(f"{keys.REDIS_PREFIX}guard:fresh-run", redis_client.info("server")["run_id"])
    with pytest.raises(Refused, match="holder"):
        joining.join()


def test_rule_5_a_restarted_redis_makes_joining_processes_wait(redis_url: str, redis_client: Any) -> None:
    # Given a server that has just started, with records from before, and that others may know
    redis_client.set(f"{keys.REDIS_PREFIX}guard:since", 1)
    redis_client.delete(f"{keys.REDIS_PREFIX}guard:fresh-run")
    joining = guarding(redis_url, member("joining"), window_seconds=3600)  # the server has been up for less
    with pytest.raises(RetryLater, match="just started"):
        joining.join()


def test_work_is_taken_only_as_a_member_and_on_the_pinned_storage(redis_url: str, redis_client: Any) -> None:
    web = guarding(redis_url, member("web", role="web"))
    with pytest.raises(Refused):
        web.admit()
    web.join()
    web.admit()
    redis_client.set(f"{keys.REDIS_PREFIX}guard:storage-id", "another")
    with pytest.raises(Refused, match="storage"):
        web.admit()


def test_the_guard_reports_that_redis_is_unavailable() -> None:
    with pytest.raises(QueueUnavailable):
        join("redis://127.0.0.1:1/0", member("w"))


def test_a_wrong_password_is_a_mistake_of_the_settings(redis_url: str) -> None:
    wrong = redis_url.replace(redis_url.split("@")[0].rsplit(":", 1)[1], "not-the-password")
    with pytest.raises(ConfigurationError, match=r"REDIS_URL=redis://\*\*\*@\S+ refuses this user and password"):
        check_server("REDIS_URL", RedisUrl.parse(wrong))


def test_rule_5_after_an_outage_of_redis_silence_proves_nothing_at_first(redis_url: str, redis_client: Any) -> None:
    # Given a worker on another host, and a Redis that has received no heartbeat for a minute
    holder = join(redis_url, member("holder", process=ELSEWHERE))
    let_pass(redis_client, "holder", seconds=60)
    redis_client.incrby(f"{keys.REDIS_PREFIX}guard:last", -60_000)
    # When a joining process is the first to reach it again
    joining = guarding(redis_url, member("joining"))
    with pytest.raises(RetryLater, match="unavailable"):
        joining.join()
    # Then the worker, a moment later, has kept its place
    holder.heartbeat()
    holder.admit()


def test_rule_5_a_fresh_heartbeat_from_another_host_is_distinguished_from_an_old_one(
    redis_url: str, redis_client: Any
) -> None:
    # Given a worker on another host that sent a heartbeat a second before a joining process checks
    far = join(redis_url, member("far", process=ELSEWHERE))
    let_pass(redis_client, "far", seconds=1)
    second = guarding(redis_url, member("second"))
    with pytest.raises(RetryLater):
        second.join()
    # When it sends another, and the joining process then checks immediately
    far.heartbeat()
    # Then it is known to be alive
    with pytest.raises(Refused, match="far"):
        second.join()


def test_members_that_an_older_version_left_are_respected(redis_url: str, redis_client: Any) -> None:
    # Given a worker in the records of a version that had no sets beside the list of members
    join(redis_url, member("first", process=ELSEWHERE))
    for name in ("workers", "exclusive", "indexed", f"host:{ELSEWHERE.host}"):
        assert redis_client.delete(f"{keys.REDIS_PREFIX}guard:{name}") == 1
    # Then it is in the way of another one, and no longer once it has left
    with pytest.raises((Refused, RetryLater)):
        join(redis_url, member("second"))
    guarding(redis_url, member("first", process=ELSEWHERE)).leave()
    join(redis_url, member("second"))


@pytest.mark.parametrize("leaves", [True, False])
def test_a_member_that_is_gone_is_in_no_set(redis_url: str, redis_client: Any, leaves: bool) -> None:
    # Given two members, of which one leaves or expires
    left, stays = (join(redis_url, member(name, exclusive=False, process=ELSEWHERE)) for name in ("left", "stays"))
    if leaves:
        left.leave()
    else:
        let_pass(redis_client, "left", seconds=31)
    # When the other sends a heartbeat
    stays.heartbeat()
    # Then only that one is listed anywhere
    assert redis_client.smembers(f"{keys.REDIS_PREFIX}guard:host:{ELSEWHERE.host}") == {"stays"}
    for name in ("beats", "joined", "workers"):
        assert redis_client.zrange(f"{keys.REDIS_PREFIX}guard:{name}", 0, -1) == ["stays"]
    assert members.count_live_workers(RedisDatabase(redis_url)) == 1


def test_some_members_are_live_and_older(redis_url: str, redis_client: Any) -> None:
    # Given members, of which one has expired and one is the youngest
    for name in ("a", "b", "c", "expired", "this", "younger"):
        join(redis_url, member(name, exclusive=False))
    let_pass(redis_client, "expired", seconds=31)
    redis = RedisDatabase(redis_url)
    # Then only live ones that joined before are chosen, at most as many as are wanted, and not always the same
    chosen = [members.some_members(redis, count=2, older_than="this") for _ in range(100)]
    assert max(map(len, chosen)) == 2
    assert {name for some in chosen for name in some} == {"a", "b", "c"}
    # And any live one for a process that has not joined
    assert set(members.some_members(redis, count=10)) == {"a", "b", "c", "this", "younger"}
