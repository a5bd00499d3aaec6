"""A Redis of our own to which everything may be done that befalls one."""

import contextlib
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import redis

from clipzy_api.cli.embedded_redis import find_server, server_config
from clipzy_storage import keys
from clipzy_storage.process import with_parent_death_signal
from tests.support.deployment import eventually

_PORT = 6379


class RedisNode:
    """A server with an append-only file, on a loopback address of its own: its port stays free while it is away.

    To be started by a thread that lives as long as the server, since that thread holds its leash.
    """

    def __init__(self, folder: Path, *, host: str) -> None:
        self._folder, self._host = folder, host
        self._password = secrets.token_urlsafe(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Any = redis.Redis(host, _PORT, password=self._password, socket_timeout=10, decode_responses=True)
        folder.mkdir(parents=True)

    @property
    def address(self) -> str:
        return f"http://{self._host}:{_PORT}"

    def url(self, host: str, port: int) -> str:
        """Its URL by way of a proxy."""
        return f"redis://:{self._password}@{host}:{port}/0"

    @property
    def direct_url(self) -> str:
        return self.url(self._host, _PORT)

    def start(self) -> None:
        """Start it, from what its append-only file holds, and wait until it answers."""
        config = self._folder / "redis.conf"
        config.write_text(server_config(self._folder, port=_PORT, password=self._password))
        command = [find_server(), str(config), "--bind", self._host]
        self._process = subprocess.Popen(with_parent_death_signal(*command), stdin=subprocess.DEVNULL, cwd=self._folder)
        eventually(self._answers, "a Redis that answers", seconds=30)
        self.open_guard()

    def open_guard(self) -> None:
        """Spare newcomers the 30 s for which they would wait after a start: nobody else can be on this server."""
        self._client.set(f"{keys.REDIS_PREFIX}guard:since", 0)
        server: Any = self._client.info("server")
        self._client.set(f"{keys.REDIS_PREFIX}guard:fresh-run", server["run_id"])

    def kill(self) -> None:
        process = self._running()
        process.kill()
        process.wait()

    def freeze(self) -> None:
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def demote(self) -> None:
        """Make it the replica of nobody: it refuses to write."""
        self._client.replicaof("127.0.0.1", 1)

    def promote(self) -> None:
        self._client.replicaof("NO", "ONE")

    def cut_clients(self) -> None:
        """Close every connection but the one that says so."""
        self._client.client_kill_filter(_type="normal", skipme=True)

    def forget_everything(self) -> None:
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.flushall()
            pipeline.set(f"{keys.REDIS_PREFIX}guard:since", 0)
            pipeline.execute()
        self.open_guard()

    def keep_a_copy(self) -> None:
        """Copy the append-only file as it is now."""
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self._data, self._copy)

    def restart_from_copy(self) -> None:
        """Kill it and start it from the copy, which is empty where none was kept."""
        self.kill()
        shutil.rmtree(self._data, ignore_errors=True)
        if self._copy.exists():
            self._copy.rename(self._data)
        self.start()

    def stop(self) -> None:
        self._client.close()
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def _data(self) -> Path:
        return self._folder / "appendonlydir"

    @property
    def _copy(self) -> Path:
        return self._folder / "copy"

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    def _answers(self) -> bool:
        assert self._running().poll() is None, (self._folder / "redis.log").read_text()[-2000:]
        with contextlib.suppress(redis.RedisError):
            return bool(self._client.ping())
        return False
