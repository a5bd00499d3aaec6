"""The web page in a real browser, as a user sees and operates it."""

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.chromium import Page
from tests.support.requirements import missing
from tests.support.waiting import eventually

AXE = Path(__file__).parent / "axe"
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
THEMES = ("light", "dark")
WIDTH, PHONE_WIDTH = 1280, 360


def installed_axe(directory: Path) -> str:
    """The script of axe-core, of the version that the lock file names."""
    npm = shutil.which("npm")
    if npm is None:
        missing("npm is not installed")
    shutil.copytree(AXE, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=110, check=False)
    if done.returncode != 0:
        missing(f"npm cannot install axe-core: {done.stderr}")
    return (directory / "node_modules/axe-core/axe.min.js").read_text()


class WebPage:
    """The page of one front end in one tab."""

    def __init__(self, tab: Page, axe: str, url: str) -> None:
        self.tab, self._axe, self.url = tab, axe, url
        self.expected: list[str] = []
        """Parts of what the console may have: the browser itself notes every request that fails."""

    def open(self, route: str = "#/") -> None:
        """Load the page anew at this place."""
        self.tab.open("about:blank")
        self.tab.open(f"{self.url}/{route}")

    def go(self, route: str) -> None:
        """Go there without loading it anew, as by a link."""
        self.tab.run(f"void (location.hash = {json.dumps(route)})")

    def text(self) -> str:
        return str(self.tab.run("document.body?.innerText ?? ''"))

    def see(self, *texts: str) -> None:
        """Wait until the page shows all of these."""
        for text in texts:
            eventually(partial(self._has, text), f"a page that shows {text!r}", seconds=30)

    def _has(self, text: str) -> bool:
        return text in self.text()

    def count(self, selector: str) -> int:
        return int(self.tab.run(f"document.querySelectorAll({json.dumps(selector)}).length"))

    def find(self, selector: str, *, count: int = 1) -> None:
        """Wait until so many elements match."""
        eventually(lambda: self.count(selector) == count, f"{count} of {selector}", seconds=30)

    def value(self, selector: str, attribute: str) -> Any:
        """A property of the element in DOM."""
        return self.tab.run(f"document.querySelector({json.dumps(selector)}).{attribute}")

    def push(self, label: str) -> None:
        """Click the one button or link with this text or label, once it is there."""
        buttons = "[...document.querySelectorAll('button, a, summary')]"
        named = f"{buttons}.filter(e => (e.ariaLabel ?? e.textContent).trim() === {json.dumps(label)})"
        eventually(lambda: self.tab.run(f"{named}.length") == 1, f"a button {label!r}", seconds=30)
        self.tab.run(f"{named}[0].click()")

    def box(self, selector: str) -> dict[str, float]:
        """Where the element is in the window, scrolled into sight."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.tab.run(f"{element}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box: dict[str, float] = self.tab.run(f"{element}.getBoundingClientRect().toJSON()")
        return box

    def check(self) -> None:
        """No rule of levels A and AA is violated in either theme, and a phone need not scroll to the side."""
        for theme in THEMES:
            self.tab.look(width=WIDTH, theme=theme)
            assert self.violations() == [], theme
        self.tab.look(width=PHONE_WIDTH, height=740, is_touch=True)
        widest = "document.documentElement.scrollWidth"
        eventually(lambda: self.tab.run(widest) <= PHONE_WIDTH, "a page as wide as a phone", seconds=30)
        self.tab.look(width=WIDTH)

    def violations(self) -> list[str]:
        """What axe-core finds against the rules of levels A and AA: rule, element, and what is wrong."""
        self.tab.run(f"globalThis.axe ?? (() => {{ {self._axe} }})(); null")
        options = json.dumps({"runOnly": LEVELS, "resultTypes": ["violations"]})
        # the video may be without captions: it is the user's own
        found = self.tab.run(
            f"axe.run(document, {options}).then(({{violations}}) => violations.flatMap(({{id, nodes}}) =>"
            " nodes.map(node => `${id}: ${node.html.slice(0, 200)} ${node.failureSummary}`)))"
        )
        return [text for text in found if not text.startswith("video-caption:")]
