"""The site of `make docs`: built strictly, which proves links, anchors and navigation, and on its own in a browser."""

import functools
import http.server
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chromium import Page, running_chromium
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
PAGES = sorted(ROOT.glob("docs/**/*.md"))
DIAGRAMS = sorted(page for page in PAGES if "```mermaid" in page.read_text())
LOADED = re.compile(r"""<(?:script|img|iframe|source|video)\b[^>]*?\bsrc=["']?([^"' >]+)|<link\b([^>]*)>""")


def address_of(page: Path) -> str:
    """Where the page is in the site."""
    path = page.relative_to(ROOT / "docs").with_suffix("")
    return str(path.parent / ("" if path.name in {"index", "README"} else path.name)) + "/"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` does it, which fails at every page that is in no navigation, and at every broken link."""
    directory = tmp_path_factory.mktemp("site")
    make = ["make", "--silent", "--old-file=.venv/.dev", "docs", f"SITE={directory}"]
    built = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert built.returncode == 0, built.stderr
    return directory


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_is_there(site: Path, page: Path) -> None:
    html = (site / address_of(page) / "index.html").read_text()
    (title,) = re.findall(r"^# (.*)$", page.read_text(), re.MULTILINE)[:1]
    assert re.sub(r"\W", "", title) in re.sub(r"<[^>]+>|\W", "", html)


def test_nothing_is_loaded_from_another_server(site: Path) -> None:
    for page in site.rglob("*.html"):
        for address, link in LOADED.findall(page.read_text()):
            href = re.search(r'href="?([^" >]+)', link)
            assert not re.match(r"(https?:)?//", address or (href[1] if href else "")), page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )['\"]?(https?:)?//", sheet.read_text()), sheet


def test_links_to_sources_lead_to_pages_with_them(site: Path) -> None:
    page = site / "repository/clipzy_storage/failpoints.py/index.html"
    assert "done-recorded" in re.sub("<[^>]+>", "", page.read_text())
    assert "../repository/clipzy_storage/failpoints.py/" in (site / "reliability/index.html").read_text()
    assert "../../uploads/#import-by-url" in (site / "repository/CHANGELOG/index.html").read_text()


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[tuple[str, list[str]]]:
    """Its address, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:  # noqa: ARG002
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def await_diagrams(page: Page, count: int) -> None:
    """Wait until so many are drawn. The theme draws into closed shadow roots: what holds one is no <pre> any more."""
    eventually(lambda: page.run("document.querySelectorAll('div.mermaid').length") == count, f"{count} diagrams")


def test_diagrams_are_drawn_and_the_search_finds_without_another_server(
    served: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, _ = served
    loaded = "performance.getEntriesByType('resource').map(entry => entry.name)"
    with running_chromium(tmp_path) as page:
        for document in DIAGRAMS:
            # When a page with diagrams is opened, then each is drawn
            page.open(f"{url}/{address_of(document)}")
            await_diagrams(page, document.read_text().count("```mermaid"))
            assert page.run("document.querySelectorAll('pre.mermaid').length") == 0
            assert page.run("[...document.querySelectorAll('div.mermaid')].every(one => one.offsetHeight > 100)")
            # And nothing comes from elsewhere
            assert [address for address in page.run(loaded) if not address.startswith(url)] == []
        # When something is searched for, then it is found
        page.open(f"{url}/?q=unmounted")
        found = "document.querySelector('.md-search-result__list').innerText"
        eventually(lambda: "share" in page.run(found).lower(), "a result of the search")
        assert [address for address in page.run(loaded) if not address.startswith(url)] == []


def test_the_viewer_of_diagrams_is_the_published_one() -> None:
    directory = ROOT / "website/theme/assets/mermaid"
    listed = (directory / "SHA256SUMS").read_text()
    assert {path.name for path in directory.iterdir()} == {"SHA256SUMS", *re.findall(r"\S+$", listed, re.MULTILINE)}
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=directory, check=True, capture_output=True)


def test_a_page_that_is_in_no_navigation_ends_the_build(tmp_path: Path) -> None:
    # Given the repository, whose site can be built
    (tmp_path / "docs").mkdir()
    for path in [*ROOT.iterdir(), *(ROOT / "docs").iterdir()]:
        if path.name not in {"docs", "mkdocs.yml"}:
            (tmp_path / path.relative_to(ROOT)).symlink_to(path)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    mkdocs = [str(Path(sys.executable).parent / "mkdocs"), "build", "--strict", "--site-dir", "new-site"]
    subprocess.run(mkdocs, cwd=tmp_path, check=True, capture_output=True, timeout=100)
    # When there is one more page, then that fails and names the page
    (tmp_path / "docs/forgotten.md").write_text("# Forgotten\n")
    built = subprocess.run(mkdocs, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert built.returncode != 0
    assert "forgotten.md" in built.stderr
