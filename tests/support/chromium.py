"""A real Chromium without a window, driven by its DevTools protocol over two pipes."""

import base64
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

_KEY_CODES = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36}
_KEY_CODES |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


class Page:
    """One tab of a browser. Its commands are written to a descriptor, what it answers is read from another."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._received, self._sent, self._session = b"", 0, ""
        self.complaints: list[str] = []
        """What the console has had: errors, violations of policies, requests that failed; see ``listen``."""
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

    def listen(self) -> None:
        """Keep the ``complaints`` of the console from now on."""
        for domain in ("Runtime", "Log"):
            self._call(f"{domain}.enable")

    def look(self, *, width: int, height: int = 900, theme: str = "light", is_touch: bool = False) -> None:
        """How wide the window is, in pixels of CSS, and what the system prefers."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_touch
        )
        preferences = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in preferences.items()]
        self._call("Emulation.setEmulatedMedia", features=features)

    def hide_scrollbars(self) -> None:
        """For pictures, which show what is in sight."""
        self._call("Emulation.setScrollbarsHidden", hidden=True)

    def screenshot(self, path: Path, *, is_whole: bool = False) -> None:
        """A PNG of what the window shows, or of the whole page."""
        shot = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=is_whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def press(self, key: str, *, text: str = "") -> None:
        """Press and release a key where the focus is, by its name in DOM; ``text`` is what it types."""
        for kind in ("keyDown", "keyUp"):
            code = {"windowsVirtualKeyCode": _KEY_CODES[key]} if key in _KEY_CODES else {}
            typed = {"text": text} if text and kind == "keyDown" else {}
            self._call("Input.dispatchKeyEvent", type=kind, key=key, **code, **typed)

    def move(self, x: float, y: float) -> None:
        """Move the mouse there, in the window."""
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, x: float, y: float) -> None:
        """Press the mouse there, in the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def choose(self, selector: str, *files: Path) -> None:
        """Choose files in an ``<input type=file>``, as its dialog does."""
        found = self._call("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")
        self._call("DOM.setFileInputFiles", files=list(map(str, files)), objectId=found["result"]["objectId"])

    def save_downloads(self, directory: Path) -> None:
        """Save in this directory what pages offer as downloads."""
        self._call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(directory))

    def set_online(self, is_online: bool) -> None:
        """Whether there is a network; what is on its way over it breaks."""
        self._call("Network.enable")
        conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self._call("Network.emulateNetworkConditions", offline=not is_online, **conditions)

    def set_upload_speed(self, bytes_per_second: int) -> None:
        """How fast it sends; -1 is as fast as it can."""
        self._call("Network.enable")
        conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_second}
        self._call("Network.emulateNetworkConditions", offline=False, **conditions)

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
        self.complaints += _complaints_in(message)
        return message


def _complaints_in(message: dict[str, Any]) -> list[str]:
    match message:
        case {"method": "Runtime.exceptionThrown", "params": {"exceptionDetails": details}}:
            return [details.get("exception", {}).get("description") or details["text"]]
        case {"method": "Runtime.consoleAPICalled", "params": {"type": "error" | "warning", "args": arguments}}:
            return [" ".join(str(argument.get("value")) for argument in arguments)]
        case {"method": "Log.entryAdded", "params": {"entry": {"level": "error" | "warning"} as entry}}:
            return [f"{entry['text']} {entry.get('url', '')}"]
    return []


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
