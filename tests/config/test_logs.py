"""Every line of a log is one event, whoever wrote it; secrets do not reach a log, a message or a repr."""

import json
import subprocess
import sys
from typing import Any

import pytest

from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.config.logs import escaped_text, redacted_text
from clipzy_storage.config.urls import redacted
from tests.support.processes import environment

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        f"no answer from redis://:{SECRET}@10.0.0.1:6379/0, waiting",
        f"rediss://user:{SECRET}@host/1",
        f"unix://user:{SECRET}@/run/redis.sock",
        f"redis+socket://user:{SECRET}@/run/redis.sock",
        f"redis://host/0?password={SECRET}",
        f"GET /x?X-Amz-Signature={SECRET}&b=1",
        f"GET /x?AWSAccessKeyId=a&Signature={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"the key clz_0123456789ab_{SECRET}",
        f"the secret whsec_{SECRET}+/A=",
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
        (f"http://user:{SECRET}@[::1", "http://***"),
        ("redis://h:1/0", "redis://h:1/0"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redacted(url) == shown


CONFIGURED = """
import logging, os, sys, threading, warnings
import structlog
from clipzy_storage.config import logs
from clipzy_storage.config.environment import settings_from_env
logs.configure(settings_from_env(), worker="w1")
logs.log_prints()
log = structlog.stdlib.get_logger("clipzy.test")
"""

WRITERS = {
    "an event": ("log.info('job.claimed', job_id='job_1')", "job.claimed", "job_id", "job_1"),
    "a library": ("logging.getLogger('celery').warning('two\\nlines')", r"two\nlines", "logger", "celery"),
    "a warning": ("warnings.warn('old', UserWarning)", "process.warning", "category", "UserWarning"),
    "print": ("print('some'); print('thing', file=sys.stderr)", "process.printed", "text", "some"),
    "an exception": ("raise ValueError('no')", "process.uncaught_exception", "level", "critical"),
    "an exception in a thread": (
        "threading.Thread(target=lambda: 1 / 0).start()",
        "process.uncaught_exception",
        "level",
        "critical",
    ),
    "a destructor": (
        "type('A', (), {'__del__': lambda self: 1 / 0})()",
        "process.uncaught_exception",
        "level",
        "critical",
    ),
}


def output_of(script: str, **settings: str) -> str:
    """What a process with configured logs writes to either output."""
    ended = subprocess.run(
        [sys.executable, "-c", CONFIGURED + script],
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    return ended.stdout


@pytest.mark.parametrize("writer", WRITERS)
def test_every_line_is_a_json_object_whoever_wrote_it(writer: str) -> None:
    script, event, name, value = WRITERS[writer]
    lines: list[Any] = [json.loads(line) for line in output_of(script, LOG_FORMAT="json").splitlines()]
    assert (lines[0]["event"], lines[0][name], lines[0]["worker"]) == (event, value, "w1")
    assert all(line["pid"] and line["timestamp"] and line["level"] for line in lines)


def test_in_text_an_event_is_one_line_whatever_it_is_about() -> None:
    (line,) = output_of("log.info('job.claimed', reason='a\\nb\\x1b[2Jc')").splitlines()
    assert " [info] job.claimed [clipzy.test] reason=" in line
    assert "\x1b" not in line


@pytest.mark.parametrize("closed", ["os.close(2)", "os.dup2(os.open('/dev/full', os.O_WRONLY), 2)"])
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_cannot_be_written_is_dropped(closed: str, log_format: str) -> None:
    """With the default of ``logging`` each line is followed by a traceback, and a print raises."""
    script = f"{closed}; log.info('job.claimed'); print('some', file=sys.stderr) if {log_format == 'json'} else None;"
    assert output_of(script + "os.write(1, b'goes on')", LOG_FORMAT=log_format) == "goes on"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, größer", "plain, größer"),
        ("a\nb", r"a\nb"),
        ("a\x1b[2J", r"a\x1b[2J"),
        ("a\x85b\u2028c", r"a\x85b\u2028c"),
        ("a\u202eb\ufeff", r"a\u202eb\ufeff"),
        ("\udc80", r"\udc80"),
    ],
)
def test_what_could_hide_or_forge_a_line_is_escaped(text: str, shown: str) -> None:
    assert escaped_text(text) == shown


def test_a_refusal_is_one_line_without_secrets() -> None:
    """In text; as JSON it is an event like all others."""
    script = "from clipzy_storage.config.complaints import complain;"
    script += f"complain('CORS_ORIGINS=https://user:{SECRET}@h\\n\\x1b[2J is wrong')"
    assert output_of(script) == "clipzy: CORS_ORIGINS=https://***@h\\n\\x1b[2J is wrong\n"
