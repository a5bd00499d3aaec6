"""The credentials endpoint of a task or pod, as a container platform runs it: keys that expire and are renewed."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.support.s3_servers import ACCESS_KEY, SECRET_KEY

_NAMES_OF_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")


class Role:
    """Provides credentials that live for ``life_seconds`` from the request on; none while ``is_unavailable``."""

    def __init__(self) -> None:
        self.life_seconds = 6 * 3600.0
        self.access_key = ACCESS_KEY
        self.asked = 0
        self.is_unavailable = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"role": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)

    def take_over(self, environment: Any) -> None:
        """Have boto3 find this role, and no keys."""
        for name in _NAMES_OF_KEYS:
            environment.delenv(name, raising=False)
        url = f"http://127.0.0.1:{self._server.server_port}/role"
        environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)

    def credentials(self) -> dict[str, str]:
        self.asked += 1
        expires_at = datetime.now(UTC) + timedelta(seconds=self.life_seconds)
        return {
            "AccessKeyId": self.access_key,
            "SecretAccessKey": SECRET_KEY,
            "Token": f"token-{self.asked}",
            "Expiration": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    role: Role

    def do_GET(self) -> None:
        content = b"" if self.role.is_unavailable else json.dumps(self.role.credentials()).encode()
        self.send_response(503 if self.role.is_unavailable else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass
