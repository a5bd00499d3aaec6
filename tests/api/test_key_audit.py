"""What is noted of the use of keys, and of refusals."""

from datetime import UTC, datetime
from typing import Any

from clipzy_api.key_audit import KeyUse, Refusal, RefusedKeys, last_used
from clipzy_storage.models.access import ApiKey, Scope
from clipzy_storage.redis_client import RedisDatabase
from tests.support.servers import RedisServer

KEY = ApiKey(
    key_id="a" * 12,
    name="laptop",
    owner="ada",
    scopes=frozenset({Scope.READ}),
    secret_sha256="",
    created_at=datetime.now(UTC),
)


def test_the_last_use_is_noted_although_redis_was_away(own_redis: RedisServer, logged: list[Any]) -> None:
    # Given a key that is used first while Redis is away
    redis = RedisDatabase(own_redis.url)
    use = KeyUse(redis, retry_seconds=0)
    own_redis.kill()
    use.note(KEY)
    # When Redis is back, and the key is used again
    own_redis.start()
    use.note(KEY)
    # Then the day is noted, and was logged once
    assert last_used(redis) == {KEY.key_id: datetime.now(UTC).date().isoformat()}
    assert [event["event"] for event in logged if event["event"].startswith("access.")] == ["access.key_used"]


def test_while_redis_is_away_few_requests_ask_it(own_redis: RedisServer) -> None:
    # Given a use that could not be noted
    redis = RedisDatabase(own_redis.url)
    use = KeyUse(redis, retry_seconds=60)
    own_redis.kill()
    use.note(KEY)
    # Then the next one does not try it again
    own_redis.start()
    use.note(KEY)
    assert last_used(redis) == {}


def test_refusals_are_logged_by_reason(logged: list[Any]) -> None:
    # Given many wrong keys
    refused = RefusedKeys(interval_seconds=60)
    for _ in range(1000):
        refused.note(Refusal.UNKNOWN, key_id="x" * 12)
    # When keys are refused for other reasons
    refused.note(Refusal.EXPIRED, key_id=KEY.key_id)
    refused.note(Refusal.SCOPE, key_id=KEY.key_id)
    # Then each reason has its line, at once
    assert [(event["reason"], event["key_id"], event["refused"]) for event in logged] == [
        ("unknown", "x" * 12, 1),
        ("expired", KEY.key_id, 1),
        ("lacks the scope", KEY.key_id, 1),
    ]


def test_a_line_has_the_number_of_refusals_since_the_last(logged: list[Any]) -> None:
    refused = RefusedKeys(interval_seconds=60)
    for _ in range(3):
        refused.note(Refusal.UNKNOWN)
    refused._interval_seconds = 0  # a minute later
    refused.note(Refusal.UNKNOWN)
    assert [event["refused"] for event in logged] == [1, 3]
