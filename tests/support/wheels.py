"""The wheel as `make wheel` builds it, and what an installation of it finds beside it."""

import os
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LOCK = ROOT / "requirements/demo.txt"
_SCRIPTS_AND_DATA = ".."


def build_wheel(directory: Path) -> Path:
    """`make wheel`, with its result in ``directory``."""
    make = ["make", "--silent", "--old-file=.venv/.dev", "--old-file=.venv/.demo", "wheel", f"DIST={directory}"]
    subprocess.run(make, cwd=ROOT, check=True, capture_output=True, text=True, timeout=100)
    (wheel,) = directory.glob("*.whl")
    return wheel


def add_dependencies(site_packages: Path) -> None:
    """Put the packages of ``requirements/demo.txt`` there, from this environment: nothing is downloaded.

    These are the ones that Clipzy declares, and none that only the tests need.
    """
    locked = re.findall(r"^([a-z0-9-]+)==", _LOCK.read_text(), re.MULTILINE)
    for distribution in map(metadata.distribution, (name for name in locked if _is_installed(name))):
        for top in {path.parts[0] for path in distribution.files or []} - {_SCRIPTS_AND_DATA, "__pycache__"}:
            _add(Path(str(distribution.locate_file(top))), site_packages / top)


def _is_installed(name: str) -> bool:
    """The lock is for every system, so it has packages that are not for this one."""
    return any(metadata.distributions(name=name))


def _add(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link_or_copy, dirs_exist_ok=True)
    else:
        _link_or_copy(str(source), str(target))


def _link_or_copy(source: str, target: str) -> None:
    if Path(target).exists():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
