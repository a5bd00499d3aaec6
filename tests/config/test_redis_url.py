"""The URL of a Redis: what is understood, what is refused in one line, and that no password is shown."""

import pytest
from celery import Celery

from clipzy_storage import celery_config
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.config.redis_url import RedisUrl, TlsOptions
from clipzy_storage.errors import ConfigurationError

SECRET = "s3cr3t"
NAMES = ("REDIS_URL", "CELERY_BROKER_URL")


def tcp(host: str, port: int = 6379, *, db: int = 0, tls: TlsOptions | None = None) -> RedisUrl:
    return RedisUrl(host, port, "", db, None, None, tls)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("redis://redis.internal", tcp("redis.internal")),
        ("REDIS://Redis.Internal:7/5", tcp("redis.internal", 7, db=5)),
        ("redis://h?db=5", tcp("h", db=5)),
        ("redis://h/5?db=5", tcp("h", db=5)),
        ("redis://[::1]:7/", tcp("::1", 7)),
        ("redis://user:p%2Fw%40@h", RedisUrl("h", 6379, "", 0, "user", "p/w@", None)),
        ("redis://user:@h", RedisUrl("h", 6379, "", 0, "user", None, None)),
        ("unix:///run/redis.sock", RedisUrl("", 0, "/run/redis.sock", 0, None, None, None)),
        ("unix://:p@/run/a%20b.sock?db=2", RedisUrl("", 0, "/run/a b.sock", 2, None, "p", None)),
        ("rediss://h", tcp("h", tls=TlsOptions())),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", tcp("h", tls=TlsOptions("none"))),
        ("rediss://h?ssl_cert_reqs=optional&ssl_check_hostname=False", tcp("h", tls=TlsOptions("optional", False))),
        (
            "rediss://h?ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem",
            tcp("h", tls=TlsOptions(ca_certs="/ca.pem", certfile="/c.pem", keyfile="/k.pem")),
        ),
    ],
)
def test_a_url_is_understood(text: str, parsed: RedisUrl) -> None:
    assert RedisUrl.parse(text) == parsed


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://h", "does not begin with redis://"),
        ("h:6379", "does not begin with redis://"),
        ("redis:h", "does not begin with redis://"),
        ("amqp://h", "does not begin with redis://"),
        ("redis+socket:///run/redis.sock", "does not begin with redis://"),
        ("redis://", "names no host"),
        ("redis://h;other/0", "names no host"),
        ("redis://h:port/0", "host or port is malformed"),
        ("redis://h:99999/0", "host or port is malformed"),
        ("redis://h:0/0", "malformed"),
        ("redis://[::1/0", "malformed"),
        ("redis://h/first", "the database is not a number"),
        ("redis://h/1/2", "the database is not a number"),
        ("redis://h/99999999999", "the database is not a number"),
        ("redis://h/1?db=2", "names two databases"),
        ("redis://h?db=1&db=2", "not a list of different options"),
        ("redis://h?socket_timeout=5", "the option socket_timeout cannot be used; these can: db,"),
        ("redis://h?password=p", "the option password cannot be used"),
        ("redis://h?ssl_cert_reqs=none", "ssl_cert_reqs needs rediss://, and this is redis://"),
        ("unix:///run/redis.sock?ssl_ca_certs=/ca.pem", "ssl_ca_certs needs rediss://"),
        ("rediss://h?ssl_cert_reqs=maybe", "ssl_cert_reqs takes required,"),
        ("rediss://h?ssl_check_hostname=maybe", "ssl_check_hostname takes true or false"),
        ("unix://run/redis.sock", "a Unix socket needs its absolute path"),
        ("unix://", "a Unix socket needs its absolute path"),
        ("unix:///run/a%00.sock", "a Unix socket needs its absolute path"),
        ("unix:///run/a%0Ab.sock", "a Unix socket needs its absolute path"),
        (f"unix:///run/{'a' * 104}", "the path of a Unix socket has at most 103 bytes"),
        ("rediss://h?ssl_ca_certs=/a%00.pem", "has a character that no path should have"),
    ],
)
def test_what_a_client_cannot_use_is_refused_in_one_line(name: str, text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_from_env({name: text})
    (line,) = refused.value.problems
    assert line.startswith(f"{name}=")
    assert reason in line
    assert "Set it to redis://host:port/db, with user:password@ before the host" in line


@pytest.mark.parametrize(
    "text",
    [
        f"redis://{SECRET}@h/0",
        f"redis://:{SECRET}",
        f"redis://user:{SECRET}",
        f"redis://:a/{SECRET}@h/0",
        f"redis://:{SECRET}/b@h/0",
        f"redis://:a#{SECRET}@h/0",
        f"redis://:{SECRET}#b@h/0",
        f"redis://:a?{SECRET}@h/0",
        f"redis://:a?b={SECRET}@h/0",
        f"redis://:{SECRET}?b@h/0",
        f"redis://:{SECRET}@h:port/0",
        f"redis://:{SECRET}@h/first",
        f"redis://:{SECRET}@[::1/0",
        f"redis://:{SECRET}@h/0?socket_timeout=1",
        f"redis://h/0?password={SECRET}",
        f"redis://h/0?password=a@{SECRET}",
        f"redis://h/0?{SECRET}",
        f"redis:/:{SECRET}@h/0",
        f"http://user:{SECRET}@h",
        f"unix://:{SECRET}@run/redis.sock",
        f"user:{SECRET}",
        SECRET,
    ],
)
def test_a_password_is_not_shown_even_if_the_url_cannot_be_parsed(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_from_env({"REDIS_URL": text})
    assert SECRET not in str(refused.value) + repr(refused.value) + repr(refused.value.__cause__)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://h", "redis://h:6379/0"),
        (f"redis://user:{SECRET}@[::1]:7/1", "redis://***@[::1]:7/1"),
        (f"rediss://:{SECRET}@h?ssl_cert_reqs=none", "rediss://***@h:6379/0"),
        (f"unix://user:{SECRET}@/run/redis.sock?db=3", "unix://***@/run/redis.sock?db=3"),
    ],
)
def test_a_url_is_shown_without_its_login(text: str, shown: str) -> None:
    url = RedisUrl.parse(text)
    assert str(url) == shown
    assert SECRET not in repr(url)
    assert "user" not in repr(url)


@pytest.mark.parametrize("place", ["redis://{}h:7/3", "rediss://{}[::1]:7/3"])
@pytest.mark.parametrize("login", ["", f":{SECRET}%40%2F%3A@", f"user:{SECRET}%3B%3F%23@"])
def test_kombu_understands_it_in_the_same_way(place: str, login: str) -> None:
    """Unix sockets need a server: see tests/faults."""
    # Given a Celery application with this URL
    text = place.format(login)
    app = Celery("test", set_as_current=False)
    app.conf.update(celery_config.celery_settings(settings_from_env({"REDIS_URL": text}), storage_id="a"))
    with app.connection_for_write() as connection:
        # When kombu parses it, then to what was parsed here
        found, url = connection.info(), RedisUrl.parse(text)
        assert (found["hostname"], found["port"], found["virtual_host"]) == (url.host, url.port, str(url.db))
        assert (found["userid"], found["password"]) == (url.username, url.password)
        # And what Celery logs about it shows no password
        assert SECRET not in connection.as_uri() + repr(connection)
