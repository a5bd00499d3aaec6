"""Real S3 servers for the tests: moto, which supports conditional writes, and rclone, which ignores the condition.

Each is a separate process on a free loopback port, with a new bucket for every test.
"""

import contextlib
import functools
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import boto3.session
import botocore.loaders
import botocore.session
import requests
from botocore.client import Config

from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_storage.process import with_parent_death_signal
from tests.support.processes import free_port
from tests.support.waiting import eventually

ACCESS_KEY, SECRET_KEY = "clipzytest", "clipzysecret"
_numbers = itertools.count(1)

# Reading boto3's description of S3 takes a quarter of a second; a process of tests does it once.
botocore.session.create_loader = functools.cache(botocore.loaders.create_loader)


@dataclass
class S3Server:
    """One running server. Its methods do what operators and outages do to it."""

    kind: Literal["moto", "rclone"]
    url: str
    process: "subprocess.Popen[bytes]"

    @property
    def env(self) -> dict[str, str]:
        """The environment with which boto3 reaches it."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @cached_property
    def client(self) -> Any:
        """A client that is independent of the code under test."""
        return boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1").client(
            "s3",
            endpoint_url=self.url,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, max_pool_connections=20),
        )

    def new_bucket(self) -> str:
        bucket = f"clipzy-{os.getpid()}-{next(_numbers)}"
        self.client.create_bucket(Bucket=bucket)
        return bucket

    def unfinished(self, bucket: str) -> list[str]:
        """Keys of multipart uploads that are neither completed nor aborted."""
        uploads = []
        with contextlib.suppress(self.client.exceptions.NoSuchUpload):  # the response of rclone if there are none
            uploads = self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return [upload["Key"] for upload in uploads]

    def keys(self, bucket: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def running(kind: Literal["moto", "rclone"], directory: Path, *, port: int = 0) -> Iterator[S3Server]:
    """A server of this kind that responds; stopped at the end."""
    directory.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    with (directory / "server.log").open("ab") as log:
        process = subprocess.Popen(
            with_parent_death_signal(*_command(kind, port, directory)), stdout=log, stderr=log, env=_environment()
        )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: process.poll() is not None or _answers(url), f"{kind} on {url}")
        assert process.poll() is None, (directory / "server.log").read_text()
        yield S3Server(kind, url, process)
    finally:
        process.kill()
        process.wait()


def storage_of(server: S3Server, bucket: str, **more: Any) -> S3Storage:
    """A storage on the bucket, for this process."""
    os.environ.update(server.env)
    return S3Storage(bucket, **more)


def _command(kind: str, port: int, directory: Path) -> list[str]:
    if kind == "moto":
        return [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    data = directory / "data"
    data.mkdir(exist_ok=True)
    rclone = shutil.which("rclone", path=str(Path(sys.executable).parent)) or "rclone"
    keys = f"{ACCESS_KEY},{SECRET_KEY}"
    return [rclone, "serve", "s3", str(data), "--addr", f"127.0.0.1:{port}", "--auth-key", keys]


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "RCLONE_CONFIG": os.devnull}


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        requests.get(url, timeout=5)
        return True
    return False
