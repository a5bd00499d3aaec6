"""Records and queue through every kind of address: a Unix socket, TLS, a second Redis; no password is in a log."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from clipzy_api.task_queue import TaskQueue
from clipzy_storage import redis_check
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.errors import ConfigurationError
from clipzy_storage.guard import members
from clipzy_storage.models.records import Queue
from clipzy_storage.redis_client import RedisDatabase
from tests.support.certificates import Certificate, make_certificate
from tests.support.deployment import Deployment, refused
from tests.support.processes import commands_below, free_port
from tests.support.servers import RedisServer, running_redis


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """A short path, since the system allows 107 bytes, with a character that URLs escape."""
    with tempfile.TemporaryDirectory(prefix="clipzy-") as directory:
        yield Path(directory) / "a redis.sock"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def with_tls(server: RedisServer, certificate: Certificate) -> Iterator[str]:
    """The URL of the server behind TLS."""
    address = urlsplit(server.address)
    with certificate.in_front_of(str(address.hostname), int(address.port or 0)) as port:
        yield server.url_through(f"http://127.0.0.1:{port}").replace("redis://", "rediss://")


def test_a_unix_socket_carries_everything(tmp_path: Path, socket_path: Path, clip: Path) -> None:
    """Without `for_kombu` Celery takes the path for a host."""
    # Given a Redis on a Unix socket, of which a deployment uses the third database
    with running_redis(tmp_path / "redis", socket_path=socket_path) as server:
        password = quote(server.password, safe="")
        url = f"unix://:{password}@{quote(str(socket_path))}?db=3"
        members.open_fresh(RedisDatabase(url))
        settings = {"LOG_LEVEL": "DEBUG", "FLOWER_BASIC_AUTH": "user:another-password"}
        with Deployment(tmp_path / "deployment", redis_url=url, **settings) as deployment:
            api, worker = deployment.web(), deployment.worker()
            flower = deployment.run("flower", "--port", str(free_port())).wait_for_log("flower.ready")
            # When a job is submitted
            job = api.finished(api.upload(clip)["job_id"])
            # Then a worker was notified through the socket, and completes it
            assert job["status"] == "completed"
            assert "db3" in server.admin.info("keyspace")
            assert not [key for key in server.admin.keys("*") if "guard" not in key]  # in the first database
            # And neither a log nor a command line has the password
            doctor = deployment.run("doctor")
            doctor.wait()
            assert "unix://***@" in doctor.output()
            shown = "".join(process.output() for process in deployment.processes)
            for process in (worker, flower, *deployment.processes):
                shown += "".join(commands_below(process.pid).values())
            assert server.password not in shown
            assert password not in shown


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("", "has a certificate that cannot be trusted"),
        ("?ssl_ca_certs=/no/such/file", "names a file of TLS that cannot be read"),
        ("?ssl_ca_certs={key}", "names a file of TLS that is not PEM"),
        ("?ssl_ca_certs={path}&ssl_certfile={path}", "names a file of TLS that is not PEM"),
        ("?ssl_ca_certs={path}&ssl_certfile={path}&ssl_keyfile={encrypted_key}", "a key that is encrypted"),
    ],
)
@pytest.mark.parametrize("name", ["REDIS_URL", "CELERY_BROKER_URL"])
def test_a_tls_connection_that_cannot_be_trusted_is_refused(
    server: RedisServer, with_tls: str, certificate: Certificate, name: str, options: str, reason: str
) -> None:
    given = {"path": certificate.path, "key": certificate.key, "encrypted_key": certificate.encrypted_key()}
    url = with_tls + options.format(**given)
    with pytest.raises(ConfigurationError) as error:
        redis_check.check_settings(settings_from_env({"REDIS_URL": server.url, name: url}))
    (line,) = error.value.problems
    assert line.startswith(f"{name}=rediss://***@")
    assert reason in line
    assert server.password not in line


@pytest.mark.parametrize("options", ["?ssl_ca_certs={}", "?ssl_cert_reqs=CERT_NONE", "?ssl_cert_reqs=none"])
def test_both_clients_use_the_tls_options(
    server: RedisServer, with_tls: str, certificate: Certificate, options: str
) -> None:
    # Given a URL whose options make the certificate acceptable
    settings = settings_from_env({"REDIS_URL": with_tls + options.format(certificate.path)})
    server.forget_everything()
    # When both clients connect, then it can be used, for the queue as well
    assert redis_check.check_settings(settings) == {}
    assert TaskQueue(settings, storage_id=lambda: "a").notify_workers("job_unknown", Queue.INTERACTIVE)


def test_no_client_sends_anything_to_a_server_that_it_cannot_trust(server: RedisServer, with_tls: str) -> None:
    """Without `broker_use_ssl` kombu checks no certificate at all."""
    # Given a Redis behind a certificate that nothing vouches for, where redis-py refuses to connect
    settings = settings_from_env({"REDIS_URL": with_tls})
    server.forget_everything()
    # When a notification is to be sent, then kombu refuses too
    assert not TaskQueue(settings, storage_id=lambda: "a").notify_workers("job_unknown", Queue.INTERACTIVE)
    assert server.admin.keys("clipzy:mq:*") == []


def test_a_server_without_tls_is_waited_for(server: RedisServer) -> None:
    """Such a server waits for the end of what it takes for a command, so nothing but its silence is seen."""
    absent = redis_check.check_settings(settings_from_env({"REDIS_URL": server.url.replace("redis://", "rediss://")}))
    assert absent.keys() == {"REDIS_URL"}


@pytest.mark.parametrize(
    ("name", "command"),
    [
        *(("REDIS_URL", command) for command in ("web", "worker", "flower", "up")),
        ("CELERY_BROKER_URL", "worker"),
        *(pytest.param("CELERY_BROKER_URL", command, marks=pytest.mark.long) for command in ("web", "flower", "up")),
    ],
)
def test_an_unusable_option_stops_every_command_in_one_line(
    tmp_path: Path, server: RedisServer, command: str, name: str
) -> None:
    given = {name: f"{server.url}?socket_timeout=5", "FLOWER_BASIC_AUTH": "user:another-password"}
    with Deployment(tmp_path, redis_url=server.url) as deployment:
        line = refused(deployment.run(command, settings=given), f"{name}=redis://***@", "socket_timeout cannot be used")
        assert not re.search(server.password, line)


def test_a_scheme_may_be_written_large(tmp_path: Path, server: RedisServer) -> None:
    with Deployment(tmp_path, redis_url=server.url.replace("redis://", "REDIS://")) as deployment:
        server.forget_everything(open_guard=True)
        assert deployment.web().is_ready()
