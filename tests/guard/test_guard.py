"""The guard's rules on a real Redis. Rules that need whole processes are in tests/e2e."""

from dataclasses import replace
from typing import Any, Literal

import pytest

from clipzy_storage import keys
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.errors import ConfigurationError, QueueUnavailable
from clipzy_storage.guard import guard, members
from clipzy_storage.guard.guard import Guard, NotYet, Refused
from clipzy_storage.guard.members import Member
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.redis_client import RedisDatabase

BEATS = f"{keys.REDIS_PREFIX}guard:beats"
GONE = replace(ProcessIdentity.own(), start_ticks="1")
ELSEWHERE = replace(ProcessIdentity.own(), host="another-host", boot_id="another-boot")


def member(
    name: str,
    *,
    role: Literal["worker", "web"] = "worker",
    storage_id: str = "s1",
    alone: bool = True,
    process: ProcessIdentity | None = None,
) -> Member:
    process = process or ProcessIdentity.own()
    return Member(
        name=name, role=role, storage_id=storage_id, storage="/srv/clips", alone=alone, process=process.as_dict()
    )


def guarding(redis_url: str, who: Member) -> Guard:
    return Guard(RedisDatabase(redis_url), who, member_id=who.name)


def join(redis_url: str, who: Member) -> Guard:
    joined = guarding(redis_url, who)
    joined.join(is_new=True)
    return joined


def let_pass(redis_client: Any, name: str, *, seconds: float) -> None:
    """What time does to a member that says nothing, without waiting for it."""
    redis_client.zincrby(BEATS, -seconds * 1000, name)


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
    refusal = guard.refusal_by_settings(settings_from_env(given))
    assert (refusal is not None) == is_refused
    if refusal is not None:
        for needed in ("WORKER_COUNT=2", "run one worker", "LOCAL_STORAGE_SHARED=true", "STORAGE_TYPE=s3"):
            assert needed in refusal


def test_rule_2_a_second_worker_is_refused_and_the_first_goes_on(redis_url: str) -> None:
    # Given a worker on undeclared local storage
    first = join(redis_url, member("first"))
    # When a second one joins
    with pytest.raises(Refused) as caught:
        join(redis_url, member("second"))
    # Then it is told of the first and of the ways out, and the first is undisturbed
    for needed in ("worker first", "/srv/clips", "run one worker", "LOCAL_STORAGE_SHARED=true", "STORAGE_TYPE=s3"):
        assert needed in str(caught.value)
    first.join(is_new=False)
    first.admit()
    assert [live.name for live in first.members()] == ["first"]


@pytest.mark.parametrize("alone", [(True, False), (False, True)])
def test_rule_2_one_undeclared_among_declared_is_enough(redis_url: str, alone: tuple[bool, bool]) -> None:
    join(redis_url, member("first", alone=alone[0]))
    with pytest.raises(Refused):
        join(redis_url, member("second", alone=alone[1]))


def test_declared_workers_and_front_ends_join_freely(redis_url: str) -> None:
    for number in range(3):
        join(redis_url, member(f"worker-{number}", alone=False))
    for number in range(2):
        last = join(redis_url, member(f"web-{number}", role="web", alone=True))
    assert [member.role for member in last.members()].count("worker") == 3


def test_rule_3_another_storage_is_refused_whatever_the_role(redis_url: str) -> None:
    # Given one front end
    join(redis_url, member("web", role="web", storage_id="s1"))
    # Then one worker on another disk is refused, declared or not
    for alone in (True, False):
        with pytest.raises(Refused) as caught:
            join(redis_url, member("worker", storage_id="s2", alone=alone))
        for needed in ("s1", "s2", "front end web", "files go missing", "LOCAL_STORAGE_PATH"):
            assert needed in str(caught.value)


def test_rule_3_a_storage_that_nobody_uses_any_more_is_replaced_with_a_warning(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a pinned storage whose users have all left
    join(redis_url, member("old", storage_id="s1")).leave()
    # When one with a new storage joins
    join(redis_url, member("new", storage_id="s2"))
    # Then the new one is pinned, and the log says so
    assert members.pinned_storage_id(RedisDatabase(redis_url)) == "s2"
    assert "guard.storage_replaced" in caplog.text
    assert "s1" in caplog.text


def test_rule_5_a_process_that_is_seen_to_be_gone_makes_room_at_once(redis_url: str) -> None:
    # Given a worker whose process has been killed a moment ago
    join(redis_url, member("killed", process=GONE))
    # Then its successor joins without waiting
    assert [live.name for live in join(redis_url, member("successor")).members()] == ["successor"]


def test_rule_5_one_out_of_sight_is_waited_for_and_counted_out_after_30_seconds(
    redis_url: str, redis_client: Any
) -> None:
    # Given a worker on another host that has been silent for 12 seconds
    join(redis_url, member("far", process=ELSEWHERE))
    let_pass(redis_client, "far", seconds=12)
    successor = guarding(redis_url, member("successor"))
    # Then the newcomer is neither admitted nor refused
    for _ in range(2):
        with pytest.raises(NotYet) as caught:
            successor.join(is_new=True)
        assert 0 < caught.value.seconds <= 18.1
    # Until the silence is 30 seconds old
    let_pass(redis_client, "far", seconds=18.5)
    successor.join(is_new=True)
    assert [live.name for live in successor.members()] == ["successor"]


def test_rule_5_one_out_of_sight_that_beats_again_is_alive(redis_url: str, redis_client: Any) -> None:
    far = join(redis_url, member("far", process=ELSEWHERE))
    let_pass(redis_client, "far", seconds=12)
    second = guarding(redis_url, member("second"))
    with pytest.raises(NotYet):
        second.join(is_new=True)
    far.join(is_new=False)
    with pytest.raises(Refused, match="far"):
        second.join(is_new=True)


def test_rule_5_a_holder_that_wakes_finds_another_in_its_place(redis_url: str, redis_client: Any) -> None:
    # Given a worker that was silent for so long that another took its place
    sleeper = join(redis_url, member("sleeper", process=ELSEWHERE))
    let_pass(redis_client, "sleeper", seconds=31)
    join(redis_url, member("successor", process=ELSEWHERE))
    # When it wakes
    with pytest.raises(Refused, match="successor"):
        sleeper.join(is_new=False)
    with pytest.raises(Refused):
        sleeper.admit()


def test_rule_5_an_empty_redis_makes_newcomers_wait_but_not_holders(redis_url: str, redis_client: Any) -> None:
    # Given a worker, and a Redis that has lost everything
    holder = join(redis_url, member("holder"))
    redis_client.flushall()
    # When a newcomer comes before the holder has beaten again
    newcomer = guarding(redis_url, member("newcomer"))
    with pytest.raises(NotYet) as caught:
        newcomer.join(is_new=True)
    # Then it waits for one window, and the holder is back in its place meanwhile
    assert 25 < caught.value.seconds <= 30
    holder.join(is_new=False)
    redis_client.set(f"{keys.REDIS_PREFIX}guard:since", 1)
    redis_client.set(f"{keys.REDIS_PREFIX}guard:fresh-run", redis_client.info("server")["run_id"])
    with pytest.raises(Refused, match="holder"):
        newcomer.join(is_new=True)


def test_rule_5_a_restarted_redis_makes_newcomers_wait(redis_url: str, redis_client: Any) -> None:
    # Given a server that has just started, with records of before, and that others may know
    redis_client.set(f"{keys.REDIS_PREFIX}guard:since", 1)
    redis_client.delete(f"{keys.REDIS_PREFIX}guard:fresh-run")
    newcomer = guarding(redis_url, member("newcomer"))
    newcomer.window_seconds = 3600  # the test session's server has been up for less
    with pytest.raises(NotYet, match="just started"):
        newcomer.join(is_new=True)


def test_work_is_taken_only_as_a_member_and_on_the_pinned_storage(redis_url: str, redis_client: Any) -> None:
    web = guarding(redis_url, member("web", role="web"))
    with pytest.raises(Refused):
        web.admit()
    web.join(is_new=True)
    web.admit()
    redis_client.set(f"{keys.REDIS_PREFIX}guard:storage-id", "another")
    with pytest.raises(Refused, match="storage"):
        web.admit()


def test_where_redis_is_away_the_guard_says_so() -> None:
    with pytest.raises(QueueUnavailable):
        join("redis://127.0.0.1:1/0", member("w"))


def test_a_wrong_password_is_a_mistake_of_the_settings(redis_url: str) -> None:
    from clipzy_storage import redis_client as clients

    wrong = redis_url.replace(redis_url.split("@")[0].rsplit(":", 1)[1], "not-the-password")
    with pytest.raises(ConfigurationError, match=r"REDIS_URL=redis://\*\*\*@\S+ refuses this user and password"):
        clients.check_server("REDIS_URL", wrong)


def test_rule_5_where_redis_was_away_silence_proves_nothing_at_first(redis_url: str, redis_client: Any) -> None:
    # Given a worker out of sight, and a Redis in which nobody was heard for a minute
    holder = join(redis_url, member("holder", process=ELSEWHERE))
    let_pass(redis_client, "holder", seconds=60)
    redis_client.incrby(f"{keys.REDIS_PREFIX}guard:last", -60_000)
    # When a newcomer is the first to reach it again
    newcomer = guarding(redis_url, member("newcomer"))
    with pytest.raises(NotYet, match="away"):
        newcomer.join(is_new=True)
    # Then the holder, a moment later, has kept its place
    holder.join(is_new=False)
    holder.admit()


def test_rule_5_a_fresh_beat_of_one_out_of_sight_is_told_from_an_old_one(redis_url: str) -> None:
    # Given a worker out of sight that has beaten just before the newcomer looks
    far = join(redis_url, member("far", process=ELSEWHERE))
    second = guarding(redis_url, member("second"))
    with pytest.raises(NotYet):
        second.join(is_new=True)
    # When it beats again, and then the newcomer looks at once
    far.join(is_new=False)
    # Then it is known to live
    with pytest.raises(Refused, match="far"):
        second.join(is_new=True)
