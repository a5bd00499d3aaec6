"""tus by hand, request by request, so that each of them can be wrong."""

import base64
import hashlib
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from clipzy_storage import keys
from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.backends.base import StorageBackend
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_storage.models.access import Scope
from tests.support.forms import mp4_bytes
from tests.support.servers import FrontEnd, RedisServer, running_front_end
from tests.support.waiting import eventually

UPLOADS, VIDEOS, JOBS = "/api/v1/uploads", "/api/v1/videos", "/api/v1/jobs"
VERSION = {"Tus-Resumable": "1.0.0"}
CHUNK = {"Content-Type": "application/offset+octet-stream"}
CONTENT = mp4_bytes(12_000_000)
"""Two full parts of a bucket, and a rest."""


@dataclass
class Deployed:
    """Two front ends, their Redis, and their settings."""

    front_ends: list[FrontEnd]
    redis: RedisServer
    settings: dict[str, str] = field(default_factory=dict)
    key: str = ""
    """An API key, if it asks for them."""

    @property
    def first(self) -> FrontEnd:
        return self.front_ends[0]

    @property
    def storage(self) -> StorageBackend:
        if "S3_BUCKET_NAME" not in self.settings:
            return LocalStorage(self.first.root, shared=False)
        os.environ.update({name: value for name, value in self.settings.items() if name.startswith("AWS_")})
        return S3Storage(self.settings["S3_BUCKET_NAME"])

    def add_key(self) -> None:
        _, text = ApiKeys(self.storage).create("test", owner="ada", scopes=Scope, expires_at=None)
        self.key = str(text)
        eventually(lambda: all(one.get("/api/v1/me", headers=self.headers).ok for one in self.front_ends), "the key")

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def left(self, upload_id: str) -> list[str]:
        """What is kept of the upload, other than the video."""
        return [blob.key for blob in self.storage.list(keys.upload_state(upload_id, ""))]


def ask(front_end: FrontEnd, method: str, path: str, data: Any = None, /, **headers: str) -> requests.Response:
    """``headers`` with ``_`` for ``-``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, front_end.url + path, data=data, headers=VERSION | named, timeout=30)


def begin(front_end: FrontEnd, size_bytes: int, *, filename: str = "holiday.mp4", **headers: str) -> str:
    """The address of a new upload."""
    metadata = "filename " + base64.b64encode(filename.encode()).decode()
    answer = ask(front_end, "POST", UPLOADS, Upload_Length=str(size_bytes), Upload_Metadata=metadata, **headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Upload-Offset"] == "0"
    location = answer.headers["Location"]
    assert location.startswith(f"{UPLOADS}/vid_")
    return location


def send(front_end: FrontEnd, path: str, data: Any, *, offset: int, **headers: str) -> requests.Response:
    return ask(front_end, "PATCH", path, data, Upload_Offset=str(offset), **CHUNK, **headers)


def offset_of(front_end: FrontEnd, path: str) -> int:
    answer = ask(front_end, "HEAD", path)
    assert answer.status_code == 200, answer.headers
    return int(answer.headers["Upload-Offset"])


def checksum(data: bytes, *, algorithm: str = "sha256") -> str:
    return f"{algorithm} " + base64.b64encode(hashlib.new(algorithm, data).digest()).decode()


def id_of(path: str) -> str:
    return path.rpartition("/")[2]


def video(front_end: FrontEnd, path: str) -> dict[str, Any]:
    answer = front_end.get(f"{VIDEOS}/{id_of(path)}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def another(deployed: Deployed, directory: Path, **more: str) -> AbstractContextManager[FrontEnd]:
    """One more front end of the deployment."""
    root = deployed.first.root
    return running_front_end(directory, deployed.redis.url, storage_path=root, **deployed.settings, **more)
