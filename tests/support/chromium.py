"""A real Chromium without a window, driven by its DevTools protocol over two pipes."""

import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from clipzy_storage.process import with_parent_death_signal
from tests.support.requirements import missing
from tests.support.waiting import TIMEOUT_SECONDS

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-pipe",
)


class Page:
    """One tab of a browser. Its commands are written to a descriptor, what it answers is read from another."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._received, self._sent, self._session = b"", 0, ""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")

    def open(self, url: str) -> str:
        """Load a page as for a user who has typed its address; the text that it shows."""
        navigated = self._call("Page.navigate", url=url)
        assert "errorText" not in navigated, navigated
        self._await(lambda message: message.get("method") == "Page.loadEventFired")
        return str(self.run("document.body.innerText"))

    def run(self, script: str) -> Any:
        """The value of a script in the page; a promise is awaited."""
        done = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def ignore_policies(self) -> None:
        """Let pages do what their Content-Security-Policy forbids."""
        self._call("Page.setBypassCSP", enabled=True)

    def _call(self, method: str, **parameters: Any) -> Any:
        self._sent += 1
        number, session = self._sent, {"sessionId": self._session} if self._session else {}
        message = {"id": number, "method": method, "params": parameters, **session}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        answer = self._await(lambda message: message.get("id") == number)
        assert "result" in answer, answer
        return answer["result"]

    def _await(self, is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while not is_wanted(message := self._next_message()):
            pass
        return message

    def _next_message(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while b"\0" not in self._received:
            assert select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))[0], "no answer"
            block = os.read(self._answers, 1 << 20)
            assert block, "Chromium has exited"
            self._received += block
        text, _, self._received = self._received.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message


@contextmanager
def running_chromium(directory: Path, *, hosts: tuple[str, ...] = ()) -> Iterator[Page]:
    """A page of a new browser with an empty profile, for which ``hosts`` are names of this machine."""
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("chromium")
    rules = ",".join(f"MAP {host} 127.0.0.1" for host in hosts)
    command = [chromium, *OPTIONS, f"--user-data-dir={directory / 'profile'}", f"--host-resolver-rules={rules}"]
    commands_in, commands = os.pipe()
    answers, answers_out = os.pipe()
    with ExitStack() as stack:
        for descriptor in (commands, answers):
            stack.callback(os.close, descriptor)
        try:
            log = stack.enter_context((directory / "chromium.log").open("wb"))
            process = stack.enter_context(
                subprocess.Popen(
                    # Chromium reads commands from descriptor 3 and writes answers to 4.
                    with_parent_death_signal(
                        *("bash", "-c", f'exec "$@" 3<&{commands_in} 4>&{answers_out}', "bash", *command)
                    ),
                    pass_fds=(commands_in, answers_out),
                    env={"PATH": os.environ["PATH"], "HOME": str(directory)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )
        finally:
            os.close(commands_in)
            os.close(answers_out)
        stack.callback(process.kill)
        yield Page(commands, answers)
