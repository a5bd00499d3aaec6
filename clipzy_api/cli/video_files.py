"""Which files `clipzy submit` is to send: files, the videos in directories, and what matches a pattern."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

SUFFIXES = (".3gp", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".qt", ".webm")
"""Of the files that are sent of a directory; a file that is named is sent whatever it is called."""


def video_files(names: Sequence[str]) -> list[Path]:
    """Each file once, in the order of the names. Raises ``click.ClickException`` if a name leads to no file."""
    found: dict[str, Path] = {}
    for name in names:
        files = list(_files_of(name))
        if not files:
            raise click.ClickException(f"{name} has no video files; their names end in {', '.join(SUFFIXES)}.")
        for file in files:
            found.setdefault(os.path.abspath(file), file)
    return list(found.values())


def _files_of(name: str) -> Iterator[Path]:
    path = Path(name)
    if os.path.lexists(path) or not glob.has_magic(name):
        yield from _videos_in(path) if path.is_dir() else [_existing(path)]
        return
    matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    if not matches:
        raise click.ClickException(f"{name} matches no file.")
    for match in map(Path, matches):
        yield from _videos_in(match) if match.is_dir() else [match]


def _existing(path: Path) -> Path:
    try:
        path.stat()
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}.") from error
    return path


def _videos_in(directory: Path) -> Iterator[Path]:
    """In order and at any depth, without hidden files and without following links to directories."""

    def fail(error: OSError) -> None:
        raise click.ClickException(f"{error.filename} cannot be read: {error.strerror}.") from error

    for parent, subdirectories, names in os.walk(directory, onerror=fail):
        subdirectories[:] = sorted(name for name in subdirectories if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(parent) / name
