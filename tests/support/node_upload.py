"""Uploads by Node, whose two clients listen while they send."""

import shutil
import subprocess
from pathlib import Path

from tests.support.requirements import missing

SCRIPT = Path(__file__).with_name("node_upload.mjs")


def uploads_by_node(url: str, file: Path) -> str:
    """What it was answered, once with ``fetch`` and once with ``http.request``."""
    node = shutil.which("node")
    if node is None:
        missing("node is not installed")
    command = [node, str(SCRIPT), url, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr
