"""One slow receiver does not keep a worker from delivering to others."""

import time
from contextlib import ExitStack

import pytest

from clipzy_storage.webhooks.receivers import (
    FIRST_TURN_SECONDS,
    LAST_TURN_SECONDS,
    MAX_SLOW_ATTEMPTS,
    MAX_SLOW_HOSTS,
    Receivers,
)


@pytest.mark.parametrize(("slow_seconds", "most"), [(0.0, MAX_SLOW_ATTEMPTS), (60.0, 16)])
def test_a_slow_host_gets_a_few_attempts_at_a_time(slow_seconds: float, most: int) -> None:
    # Given a host whose last attempt was slow, or was not
    receivers = Receivers(slow_seconds=slow_seconds)
    with receivers.attempt("hooks.example.com") as may_attempt:
        assert may_attempt
    # When there is much for it
    with ExitStack() as attempts:
        allowed = [attempts.enter_context(receivers.attempt("hooks.example.com")) for _ in range(16)]
        # Then it gets as many as it may, and another one as many as it likes
        assert allowed == [True] * most + [False] * (16 - most)
        assert all(attempts.enter_context(receivers.attempt("other.example.com")) for _ in range(16))
    # And once they have ended, it gets some again
    with receivers.attempt("hooks.example.com") as may_attempt:
        assert may_attempt


def test_what_a_slow_host_cannot_have_now_takes_turns() -> None:
    # Given a slow host for which very much waits
    receivers = Receivers(slow_seconds=0.4, max_slow_attempts=1)
    with receivers.attempt("hooks.example.com"):
        time.sleep(0.4)
    turns = [receivers.turn_in_seconds("hooks.example.com") for _ in range(1000)]
    # Then what waits is looked at as often as the host has time for it, and all of it before long
    assert turns[0] == pytest.approx(FIRST_TURN_SECONDS, abs=0.1)
    assert turns[100] - turns[0] == pytest.approx(40, abs=1)
    assert all(FIRST_TURN_SECONDS <= turn <= LAST_TURN_SECONDS for turn in turns)
    assert len({round(turn) for turn in turns}) > 250


def test_only_the_latest_slow_hosts_are_remembered() -> None:
    """Whoever makes up a new host for each job takes no more memory."""
    receivers = Receivers(slow_seconds=0.0)
    for number in range(MAX_SLOW_HOSTS + 1):
        with receivers.attempt(f"{number}.example.com") as may_attempt:
            assert may_attempt
    most = {"0.example.com": 5, f"{MAX_SLOW_HOSTS}.example.com": MAX_SLOW_ATTEMPTS}
    for host, count in most.items():
        with ExitStack() as attempts:
            assert sum(attempts.enter_context(receivers.attempt(host)) for _ in range(5)) == count
