"""The tus clients of JavaScript: tus-js-client in Node, and a page with Uppy."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.requirements import missing

CLIENTS = Path(__file__).parent / "clients"
PAGE = "<!doctype html><title>clips</title><body>ready<script src=page.js></script>"


@dataclass(frozen=True)
class PageServer:
    """Serves ``directory``, under a name that only the browser of the tests knows."""

    directory: Path
    host: str
    port: int

    @property
    def origin(self) -> str:
        return f"http://{self.host}:{self.port}"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def running_page_server(directory: Path) -> Iterator[PageServer]:
    """A web server on loopback, with a page at ``/``."""
    (directory / "index.html").write_text(PAGE)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(directory))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield PageServer(directory, "pages.test", server.server_port)
        server.shutdown()
        thread.join()


def installed_clients(directory: Path) -> Path:
    """A directory with the programs, and the packages that the lock file names."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        missing("node and npm are not installed")
    shutil.copytree(CLIENTS, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=110, check=False)
    if done.returncode != 0:
        missing(f"npm cannot install the tus clients: {done.stderr}")
    return directory


def bundle(clients: Path, script: Path) -> None:
    """Make the script of the page."""
    command = ["node_modules/.bin/esbuild", "page.mjs", "--bundle", f"--outfile={script}", "--log-level=warning"]
    subprocess.run(command, cwd=clients, check=True, timeout=60)


def upload_with_node(clients: Path, endpoint: str, key: str, file: Path, *, timeout_seconds: float) -> str:
    """The address of the upload. Raises ``AssertionError`` if the client gives up."""
    command = ["node", "upload.mjs", endpoint, key, str(file)]
    done = subprocess.run(command, cwd=clients, capture_output=True, text=True, timeout=timeout_seconds, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()
