"""A client of the HTTP API that waits for jobs."""

import contextlib
import json
from pathlib import Path
from typing import Any, Self

import requests

from tests.support.waiting import eventually

TERMINAL = ("completed", "failed", "cancelled")
_OUTSIDE_THE_API = ("/healthz", "/readyz", "/storage/")


def with_config(request: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """The same request, as ``requests`` takes it, with these options under the ones it has: a form or JSON."""
    if "json" in request:
        return request | {"json": request["json"] | {"config": config | request["json"].get("config", {})}}
    given = json.loads(request.get("data", {}).get("config", "{}"))
    return request | {"data": request.get("data", {}) | {"config": json.dumps(config | given)}}


class ApiClient:
    """One connection to a front end at ``url``; paths are those of the API without its prefix."""

    def __init__(self, url: str, *, headers: dict[str, str] | None = None) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.headers.update(headers or {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        prefix = "" if path.startswith(_OUTSIDE_THE_API) else "/api/v1"
        return self.http.request(method, self.url + prefix + path, **{"timeout": 60, **options})

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def delete(self, path: str, **options: Any) -> requests.Response:
        return self.request("DELETE", path, **options)

    def post(self, path: str, *, reuse: bool = False, **options: Any) -> requests.Response:
        """Jobs are analysed even if the result cache has their result, unless ``reuse``.

        Only shots are analysed unless the ``config`` names more: most tests are about the job protocol.
        """
        if path == "/jobs":
            options = with_config(options, {"reuse": reuse, "analyses": [], "sprites": False})
        return self.request("POST", path, **options)

    def is_reachable(self) -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return self.get("/healthz").ok
        return False

    def is_ready(self) -> bool:
        return self.is_reachable() and self.get("/readyz").ok

    def upload(self, path: Path, *, to: str = "/jobs", name: str | None = None, reuse: bool = False) -> Any:
        """The job, or with ``to="/videos"`` the video, that a file was accepted as."""
        with path.open("rb") as stream:
            answer = self.post(to, reuse=reuse, files={"file": (name or path.name, stream)})
        assert answer.ok, answer.text
        return answer.json()

    def job(self, job_id: str) -> Any:
        return self.get(f"/jobs/{job_id}").json()

    def finished(self, job_id: str) -> Any:
        """The job in its terminal state."""
        return eventually(
            lambda: (job := self.job(job_id))["status"] in TERMINAL and job, f"the terminal state of {job_id}"
        )

    def run(self, path: Path, **options: Any) -> Any:
        """The finished job over a file."""
        return self.finished(self.upload(path, **options)["job_id"])

    def working(self, job_id: str, *, percent: int = 1) -> Any:
        """The job, once its video is being processed."""
        return eventually(
            lambda: (job := self.job(job_id))["progress_percent"] >= percent and job, f"progress of {job_id}"
        )

    def close(self) -> None:
        self.http.close()
