"""docs/webhooks.md: its commands and its receiver do what is shown, and its numbers are those of the code."""

import os
import re
import socket
import sys
from pathlib import Path

import pytest

from clipzy_storage.models import deliveries
from clipzy_storage.outbound.target_url import MAX_URL_LENGTH
from clipzy_storage.webhooks import receivers, schedule, sending
from clipzy_worker.runtime import webhooks
from tests.support import console
from tests.support.deployment import Deployment
from tests.support.processes import Process, environment, free_port
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/webhooks.md").read_text()
PAGE = " ".join(TEXT.split())


@pytest.mark.parametrize(
    "number",
    [
        f"at most {MAX_URL_LENGTH} characters",
        f"has not answered {sending.TIMEOUT_SECONDS:g} s after",
        f"first {sending.KEPT_RESPONSE_BYTES} bytes",
        f"last {deliveries.KEPT_ATTEMPTS} attempts",
        f"up to {webhooks.AT_ONCE} at once",
        f"over {receivers.SLOW_SECONDS:g} s gets {receivers.MAX_SLOW_ATTEMPTS} of these",
    ],
)
def test_a_limit_is_there(number: str) -> None:
    assert number in PAGE


def test_the_schedule_is_there() -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    shown = PAGE.partition("Attempts are made at once, then ")[2].partition("after the one")[0]
    found = re.findall(r"(\d+) (s|min|h)\b", shown)
    assert tuple(int(number) * units[unit] for number, unit in found) == schedule.DELAYS_SECONDS


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_commands_and_the_receiver_do_what_is_shown(tmp_path: Path, redis_url: str) -> None:
    # Given the page's receiver, with a port that is free
    (program,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (secret,) = re.findall(r'SECRET = "(whsec_.*?)"', program)
    port = free_port()
    source = tmp_path / "receiver.py"
    source.write_text(program.replace("9000", str(port)))
    receiver = Process([sys.executable, str(source)], cwd=tmp_path, env=environment(), log=tmp_path / "receiver.log")
    settings = {"WEBHOOK_SECRETS": secret, "ALLOW_PRIVATE_ADDRESSES": "127.0.0.1"}
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    commands = console.commands_in(TEXT)
    try:
        eventually(lambda: is_listening(port), "the receiver")
        # When the page's commands are run, against a front end with a worker
        with Deployment(tmp_path / "deployment", redis_url=redis_url, **settings) as stack:
            url = stack.web().url
            stack.worker()
            lines = [
                command.replace("http://127.0.0.1:8000", url).replace("9000", str(port)) for command, _ in commands
            ]
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            printed, errors = console.run(lines, tmp_path, environment(**settings) | {"PATH": path})
            # Then each prints what is shown, and the receiver has the event, and its replay
            assert errors == ""
            console.assert_printed(commands, printed)
            eventually(lambda: receiver.output().count("job.completed job_") == 2, "a delivery and its replay")
    finally:
        receiver.stop()
