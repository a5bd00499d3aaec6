"""Makes the pages of ``docs`` work as a site as they do in the repository.

What they link to outside of ``docs`` becomes a page of the site, under ``repository/``: Markdown as it is, any other
file as its text. A link to a directory becomes text. So nothing leads to a server that may not be there.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOCS, REPOSITORY = "docs/", "repository/"
START = "docs/index.md"  # what the README says, for readers of the site
LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<path>[^)\s#:]+)(?P<fragment>#[^)\s]*)?\)")
LANGUAGES = {".py": "python", ".lua": "lua", ".template": "nginx", ".example": "sh"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every file that a page links to."""
    waiting = [DOCS + file.src_uri for file in files.documentation_pages()]
    while waiting:
        for path in _linked_files(waiting.pop()):
            uri = _uri(path)
            if files.get_file_from_path(uri) is None:
                is_page, content = path.endswith(".md"), (ROOT / path).read_text()
                added = File.generated(config, uri, content=content if is_page else _as_page(path, content))
                added.inclusion = InclusionLevel.NOT_IN_NAV  # that is, it need not be there
                files.append(added)
                if is_page:
                    waiting.append(path)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Have every link into the repository lead to the page of that file."""
    source = _repository_path(page.file.src_uri)
    return LINK.sub(lambda link: _rewritten(link, source, page.file.src_uri), markdown)


def _linked_files(source: str) -> Iterator[str]:
    for link in LINK.finditer((ROOT / source).read_text()):
        path = _target(link, source)
        if path and not path.startswith(DOCS) and path != "README.md" and (ROOT / path).is_file():
            yield path


def _rewritten(link: re.Match[str], source: str, uri: str) -> str:
    path = _target(link, source)
    if path is None:
        return link[0]
    if path == "README.md":
        return f"[{link['text']}]({_relative(_uri(START), uri)})"
    if (ROOT / path).is_dir():
        return link["text"]
    return f"[{link['text']}]({_relative(_uri(path), uri)}{link['fragment'] or ''})"


def _target(link: re.Match[str], source: str) -> str | None:
    """The path in the repository to which a link in the file ``source`` leads."""
    path = os.path.normpath(PurePosixPath(source).parent / link["path"])
    return path if (ROOT / path).exists() else None


def _uri(path: str) -> str:
    """The source of the page for a file of the repository."""
    if path.startswith(DOCS):
        return path.removeprefix(DOCS)
    return REPOSITORY + (path if path.endswith(".md") else f"{path}.md")


def _repository_path(uri: str) -> str:
    return uri.removeprefix(REPOSITORY) if uri.startswith(REPOSITORY) else DOCS + uri


def _relative(uri: str, from_uri: str) -> str:
    return os.path.relpath(uri, PurePosixPath(from_uri).parent)


def _as_page(path: str, text: str) -> str:
    """A page that shows a file, and is not found by the search."""
    language = LANGUAGES.get(Path(path).suffix, "text")
    return f"---\nsearch: {{exclude: true}}\n---\n# {path}\n\n````{language}\n{text}\n````\n"
