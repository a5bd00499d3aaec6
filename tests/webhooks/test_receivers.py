"""One slow receiver does not keep a worker from delivering to others."""

from contextlib import ExitStack

import pytest

from clipzy_storage.webhooks.receivers import MAX_SLOW_ATTEMPTS, Receivers


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
