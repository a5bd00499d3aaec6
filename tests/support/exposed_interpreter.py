"""Runs a command in a mount namespace in which every user may enter the directories of this interpreter.

They may lie in a home directory that is closed to other users. Needs root. As a program: ``SPARE TOP PATHS COMMAND…``,
where ``SPARE`` is an empty directory, ``TOP`` the closed one, and ``PATHS`` those inside it, separated by colons.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def exposing_interpreter(spare: Path) -> Sequence[str]:
    """The prefix for a command; empty if every user may enter the directories anyway. ``spare`` must be empty."""
    needed = {Path(sys.base_prefix), Path(sys.prefix), Path(__file__).parents[2]}
    closed = {parent for path in needed for parent in path.parents if not parent.stat().st_mode & 0o001}
    if not closed:
        return ()
    top = min(closed, key=lambda path: len(path.parts))
    inside = [path for path in needed if path.is_relative_to(top)]
    outermost = [path for path in inside if not any(path.is_relative_to(other) for other in inside if other != path)]
    paths = ":".join(map(str, outermost))
    return ("unshare", "--mount", sys.executable, str(Path(__file__)), str(spare), str(top), paths)


def main(spare: str, top: str, joined_paths: str, *command: str) -> None:
    paths = joined_paths.split(":")
    for number, path in enumerate(paths):
        copy = Path(spare, str(number))
        copy.mkdir()
        _mount("--bind", path, str(copy))
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", top)
    for number, path in enumerate(paths):
        Path(path).mkdir(parents=True, exist_ok=True)
        _mount("--move", str(Path(spare, str(number))), path)
    os.execvp(command[0], command)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
