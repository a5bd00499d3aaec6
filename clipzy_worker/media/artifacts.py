"""Whether the files that a media process names are what they should be, before anyone opens them. Pure of media."""

import re
import stat
from pathlib import Path
from typing import Any

_NAME = re.compile(r"(?:[a-z0-9][a-z0-9_-]{0,63}/)?[a-z0-9][a-z0-9_-]{0,63}\.[a-z0-9]{1,8}")


def check_artifacts(result: dict[str, Any], out_folder: Path) -> None:
    """Every artifact is a regular file in ``out_folder``, reached through no link.

    Raises:
        ValueError: one is not; the text names no path.
    """
    artifacts = result.get("artifacts", [])
    if not isinstance(artifacts, list):
        raise ValueError("artifacts that are no list")
    for artifact in artifacts:
        name = artifact.get("file") if isinstance(artifact, dict) else None
        if not isinstance(name, str) or _NAME.fullmatch(name) is None or not _is_own_file(out_folder, name):
            raise ValueError("an artifact that is not a file of its folder")


def _is_own_file(out_folder: Path, name: str) -> bool:
    path = out_folder / name
    try:
        own_folder = path.parent == out_folder or stat.S_ISDIR(path.parent.lstat().st_mode)
        return own_folder and stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
