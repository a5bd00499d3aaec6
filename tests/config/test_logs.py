"""Secrets do not reach a log, a message or a repr."""

import pytest

from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.config.logs import redacted_text
from clipzy_storage.config.urls import redacted

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        f"no answer from redis://:{SECRET}@10.0.0.1:6379/0, waiting",
        f"rediss://user:{SECRET}@host/1",
        f"unix://user:{SECRET}@/run/redis.sock",
        f"redis://host/0?password={SECRET}",
        f"GET /x?X-Amz-Signature={SECRET}&b=1",
        f"GET /x?AWSAccessKeyId=a&Signature={SECRET}",
        f"Authorization: Bearer {SECRET}",
    ],
)
def test_known_secrets_are_redacted(text: str) -> None:
    shown = redacted_text(text)
    assert SECRET not in shown
    assert "***" in shown


def test_what_is_no_secret_stays() -> None:
    text = "redis://10.0.0.1:6379/0 answered; signature of the file checked"
    assert redacted_text(text) == text


def test_settings_show_no_password() -> None:
    settings = settings_from_env({"REDIS_URL": f"redis://:{SECRET}@h/0", "CELERY_BROKER_URL": f"redis://:{SECRET}@h/1"})
    assert SECRET not in repr(settings) + str(settings)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://:{SECRET}@h:1/0", "redis://***@h:1/0"),
        (f"redis://user:{SECRET}@h/0", "redis://***@h/0"),
        (f"redis://h/0?password={SECRET}", "redis://h/0?***"),
        (f"unix://user:{SECRET}@/run/redis.sock", "unix://***@/run/redis.sock"),
        (f"unix:///run/redis.sock?password={SECRET}", "unix:///run/redis.sock?***"),
        (f"http://user:{SECRET}@[::1", "***"),
        ("redis://h:1/0", "redis://h:1/0"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redacted(url) == shown
