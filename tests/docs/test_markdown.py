"""Every page is readable in a terminal and as a diff, and its links lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("compose/*.md"), *ROOT.glob("demo/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

LINE_LIMIT, TABLE_LINE_LIMIT = 120, 160
MAX_README_LINES = 130


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors_of(page: Path) -> set[str]:
    """The fragments by which a viewer of Markdown finds the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", without_code(page.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_of(page: Path) -> Iterator[tuple[str, str]]:
    """Path and fragment of every link that stays in the repository."""
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if "://" not in target:
            path, _, fragment = target.partition("#")
            yield path, fragment


@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_too_long(name: str) -> None:
    lines = enumerate((ROOT / name).read_text().splitlines(), start=1)
    assert [n for n, line in lines if len(line) > (TABLE_LINE_LIMIT if line.startswith("|") else LINE_LIMIT)] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for path, fragment in links_of(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not fragment or fragment in anchors_of(target), f"{path}#{fragment}"


@pytest.mark.parametrize("name", NAMES)
def test_every_file_that_is_named_is_there(name: str) -> None:
    named = re.findall(r"`((?:clipzy_\w+|tests|bench|compose)/[\w./-]+)`", (ROOT / name).read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs/decisions").glob("0*.md")), ids=lambda page: page.stem)
def test_every_decision_is_listed_and_has_its_parts(page: Path) -> None:
    assert f"({page.name})" in (page.parent / "README.md").read_text()
    assert re.findall(r"^## (.*)$", page.read_text(), flags=re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_the_readme_is_short_and_names_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) < MAX_README_LINES
    assert [page.name for page in ROOT.glob("docs/*.md") if f"(docs/{page.name}" not in readme] == []
