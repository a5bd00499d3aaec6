"""The files of the page: what a browser has to load, and whether the libraries are the published ones."""

import gzip
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.servers import FrontEnd

ROOT = Path(__file__).parents[2]
PAGE, VENDOR = ROOT / "clipzy_api/static/page", ROOT / "clipzy_api/static/vendor"
FIRST_PAINT_BYTES = 200 << 10
MAX_LINES, MAX_LINE_LENGTH = 300, 120


class _Document(HTMLParser):
    """The addresses that the document names, and what in it is inline."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "link"):
            self.loaded += [address for name in ("src", "href") if (address := given.get(name))]
        if "style" in given or tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)


def test_everything_that_it_loads_is_small_and_ours(front_end: FrontEnd) -> None:
    # Given the document
    answer = front_end.get("/", headers={"Accept-Encoding": "gzip"})
    document = _Document(answer.text)

    # Then nothing in it is inline, which its policy would forbid, and every address works below a path of a proxy
    assert document.inline == []
    assert all(address.startswith("page/") for address in document.loaded)

    # And it names every module, so that none waits for another to be read
    scripts = {f"page/{path.name}" for path in PAGE.glob("*.js")}
    assert scripts | {"page/vendor/htm-preact.js"} <= set(document.loaded)

    # And all of that is small
    sizes = {}
    for address in set(document.loaded):
        loaded = front_end.get(f"/{address}", headers={"Accept-Encoding": "gzip"}, stream=True)
        assert loaded.status_code == 200, address
        sizes[address] = len(loaded.raw.read(decode_content=False))
    assert sum(sizes.values()) + len(gzip.compress(answer.content)) < FIRST_PAINT_BYTES, sizes


def test_its_policy_is_strict(front_end: FrontEnd) -> None:
    for path in ("/", "/page/main.js"):
        policy = front_end.get(path).headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'; ")
        assert not re.search(r"unsafe|data:|https?:|\*", policy)


@pytest.mark.parametrize("name", ["index.html", "vendor/SHA256SUMS", "../docs/page.js", "%2e%2e/app.py", "nothing", ""])
def test_no_other_file_is_served_next_to_it(front_end: FrontEnd, name: str) -> None:
    answer = front_end.get_as_written(f"/page/{name}")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_the_libraries_are_the_published_ones() -> None:
    # After a change: make vendor
    sums = dict(line.split("  ")[::-1] for line in (VENDOR / "SHA256SUMS").read_text().splitlines())

    assert {path.name for path in VENDOR.iterdir()} == {*sums, "SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name

    # And each has its licence next to it
    for name in ("htm-preact", "tus", "uPlot"):
        assert any(path.name.startswith(f"{name}.LICENSE") for path in VENDOR.iterdir()), name


@pytest.mark.parametrize("path", sorted(PAGE.iterdir()), ids=lambda path: path.name)
def test_it_can_be_read_and_loads_nothing_from_elsewhere(path: Path) -> None:
    lines = path.read_text().splitlines()

    assert len(lines) <= MAX_LINES
    assert [line for line in lines if len(line) > MAX_LINE_LENGTH] == []
    code = [line for line in lines if not line.strip().startswith(("//", "*", "/*"))]
    elsewhere = re.findall(r"https?://(?!www\.w3\.org/2000/svg)\S+", "\n".join(code))
    assert elsewhere == []
