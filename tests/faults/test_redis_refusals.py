"""What Redis refuses until an operator acts is no outage: a start ends with it, and a running process says it."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

from clipzy_storage import redis_check
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.config.redis_url import RedisUrl
from clipzy_storage.errors import ConfigurationError, QueueUnavailable, ScriptFailed
from clipzy_storage.log_events import GUARD_REDIS_REFUSED, GUARD_REDIS_UNAVAILABLE, JOB_NOTIFICATION_LOST
from clipzy_storage.redis_client import RedisDatabase, translated
from tests.support.deployment import Deployment, refused
from tests.support.faulty_redis import redis_that_answers
from tests.support.processes import free_port
from tests.support.servers import RedisServer, running_redis
from tests.support.waiting import eventually

PASSWORD = "uS3r-secret"
RIGHTS = ("~clipzy:*", "allchannels", "+@all", "-@admin", "-@dangerous", "+info")  # docs/deploy.md
SENT = {command.split()[0].lower() for use in redis_check.COMMANDS.values() for command in use}
OTHERS = {"evalsha", "exec", "info", "multi", "psubscribe", "script|exists", "script|load", "watch"}


SOURCES = Path(redis_check.__file__).parent
CALLED = re.compile(r"redis\.call\('(\w+)'|(?:client|pipeline)\.(\w+)\(")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(autouse=True)
def empty(server: RedisServer) -> None:
    server.forget_everything(open_guard=True)


def user_url(server: RedisServer, *rules: str, db: int = 0) -> str:
    """The URL of a user with the rights of docs/deploy.md, changed by ``rules``."""
    server.acl("clipzy", PASSWORD, *RIGHTS, *rules)
    return server.url_of("clipzy", PASSWORD, db=db)


def problem(url: str, *, name: str = "REDIS_URL") -> str:
    """The one line with which a start on this Redis ends."""
    with pytest.raises(ConfigurationError) as error:
        redis_check.check_server(name, RedisUrl.parse(url))
    (line,) = error.value.problems
    assert line.startswith(f"{name}={RedisUrl.parse(url)} ")
    assert PASSWORD not in line
    return line


def test_every_command_that_the_records_need_is_checked(server: RedisServer) -> None:
    """Also those of rare moments, which no other test may come to."""
    # Given the commands that scripts and modules call, as far as the server knows them
    known = set(server.admin.execute_command("COMMAND LIST"))
    texts = [path.read_text() for suffix in ("lua", "py") for path in SOURCES.rglob(f"*.{suffix}")]
    called = {(one or other).lower() for text in texts for one, other in CALLED.findall(text)} & known
    called.remove("pubsub")  # a method of redis-py, which sends PSUBSCRIBE
    assert {"zrank", "hset", "xadd"} <= called
    # Then each is sent before a process joins
    assert called - {command.split()[0].lower() for command in redis_check.COMMANDS["records"]} - OTHERS == set()


def test_the_documented_user_has_enough_rights(server: RedisServer) -> None:
    # Given the user of docs/deploy.md, which the tests of Flower take from there
    url = RedisUrl.parse(user_url(server, db=2))
    # When its rights are checked, then they suffice, and nothing is left
    redis_check.check_server("REDIS_URL", url)
    with RedisDatabase(url) as database, translated():
        assert database.client.dbsize() == 0


@pytest.mark.parametrize("command", sorted(SENT | OTHERS))
def test_each_missing_command_is_named(server: RedisServer, command: str) -> None:
    assert command in problem(user_url(server, f"-{command}")).lower()


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        (("resetkeys", "~clipzy:job:*"), "No permissions to access a key"),
        (("resetkeys", "%R~clipzy:*"), "No permissions to access a key"),
        (("resetkeys", "~clipzy:*", "resetchannels"), "No permissions to access a channel"),
        (("resetchannels", "&clipzy:*"), "No permissions to access a channel"),
        (("nocommands",), "no permissions to run the"),
        (("off",), "refuses this user and password"),
    ],
)
def test_a_missing_right_is_named(server: RedisServer, rules: tuple[str, ...], found: str) -> None:
    line = problem(user_url(server, *rules))
    assert found in line
    assert "docs/deploy.md" in line or "Correct the URL" in line


def test_wrong_logins_and_databases_are_named(server: RedisServer) -> None:
    assert "refuses this user and password. Correct the URL" in problem(server.url_of("clipzy", "another"))
    assert "requires a password. Add it to the URL" in problem(server.url.replace(f":{server.password}@", ""))
    assert "a database that the server does not have" in problem(server.url.replace("/0", "/99"))
    assert "'select'" in problem(user_url(server, "-select", db=1))


def test_only_the_rights_of_its_use_are_required(server: RedisServer) -> None:
    """A user of the records alone needs no channel, one of the broker alone no other keys."""
    url = RedisUrl.parse(user_url(server, "resetchannels", "-lpush"))
    redis_check.check_server("REDIS_URL", url, uses=("records",))
    url = RedisUrl.parse(user_url(server, "resetkeys", "~clipzy:mq:*", "-xadd"))
    redis_check.check_server("CELERY_BROKER_URL", url, uses=("broker",))
    with pytest.raises(ConfigurationError):
        redis_check.check_server("REDIS_URL", url, uses=("records",))


@contextmanager
def demoted(server: RedisServer) -> Iterator[str]:
    server.demote()
    try:
        yield server.url
    finally:
        server.promote()


@contextmanager
def without_master(server: RedisServer) -> Iterator[str]:
    server.admin.config_set("replica-serve-stale-data", "no")
    try:
        with demoted(server) as url:
            yield url
    finally:
        server.admin.config_set("replica-serve-stale-data", "yes")


@contextmanager
def full(server: RedisServer) -> Iterator[str]:
    with server.full():
        yield server.url


@contextmanager
def busy(server: RedisServer) -> Iterator[str]:
    """In a script of someone else that does not end."""
    server.admin.config_set("busy-reply-threshold", 1)

    def spin() -> None:
        with suppress(redis.ResponseError), server.client() as client:
            client.eval("while true do end", 0)

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        eventually(lambda: is_busy(server), "a busy Redis")
        yield server.url
    finally:
        server.admin.script_kill()
        thread.join()


def is_busy(server: RedisServer) -> bool:
    try:
        return not server.admin.ping()
    except redis.ResponseError as error:
        return "BUSY" in str(error)


@contextmanager
def loading(_: RedisServer) -> Iterator[str]:
    with redis_that_answers("LOADING Redis is loading the dataset in memory") as url:
        yield url


@pytest.mark.parametrize("trouble", [demoted, without_master, full, busy, loading], ids=lambda way: way.__name__)
def test_what_passes_by_itself_is_waited_for(server: RedisServer, trouble: object) -> None:
    with trouble(server) as url, pytest.raises(QueueUnavailable):  # type: ignore[operator]
        redis_check.check_server("REDIS_URL", RedisUrl.parse(url))
    # And afterwards the same server is accepted
    redis_check.check_server("REDIS_URL", RedisUrl.parse(server.url))


@pytest.mark.parametrize(
    "answer", ["CLUSTERDOWN The cluster is down", "MOVED 1 127.0.0.1:7001", "NOPERM no", "WRONGPASS no"]
)
def test_what_does_not_pass_is_refused(answer: str) -> None:
    with redis_that_answers(answer) as url:
        assert problem(url)


START_RULES: list[tuple[str, tuple[str, ...], str]] = [
    ("web", ("-psubscribe",), "'psubscribe'"),
    ("worker", ("resetkeys", "~other:*"), "No permissions to access a key"),
    ("worker", ("off",), "refuses this user and password"),
    ("flower", ("-brpop",), "'brpop'"),
    ("up", ("-evalsha",), "'evalsha'"),
]


@pytest.mark.parametrize(
    ("name", "command", "rules", "found"),
    [
        *(("REDIS_URL", *each) for each in START_RULES),
        ("CELERY_BROKER_URL", *START_RULES[1]),
        *(
            pytest.param("CELERY_BROKER_URL", *each, marks=pytest.mark.long)
            for each in (START_RULES[0], *START_RULES[2:])
        ),
    ],
)
def test_a_start_ends_with_status_78(
    tmp_path: Path, server: RedisServer, name: str, command: str, rules: tuple[str, ...], found: str
) -> None:
    given = {name: user_url(server, *rules), "FLOWER_BASIC_AUTH": "user:another-password"}
    with Deployment(tmp_path, redis_url=server.url) as deployment:
        line = refused(deployment.run(command, settings=given), f"{name}=redis://***@", found)
        assert PASSWORD not in line


def test_a_redis_that_refuses_when_it_comes_back_ends_the_start(tmp_path: Path) -> None:
    """Without the check before the guard the worker waits for ever."""
    # Given a worker that waits for its Redis
    server = RedisServer(tmp_path / "redis")
    with Deployment(tmp_path / "deployment", redis_url=server.url_of("clipzy", PASSWORD)) as deployment:
        worker = deployment.run("worker").wait_for_log(GUARD_REDIS_UNAVAILABLE)
        # When that starts, and does not know the worker's user
        server.start()
        try:
            # Then the worker ends as if it had been there at once
            refused(worker, "REDIS_URL=redis://***@", "refuses this user and password")
        finally:
            server.stop()


def test_a_right_that_is_lost_makes_processes_unready(tmp_path: Path, server: RedisServer, clip: Path) -> None:
    # Given a front end and a worker
    with Deployment(tmp_path, redis_url=user_url(server)) as deployment:
        api, worker = deployment.web(), deployment.worker()
        web = deployment.processes[0]
        # When the user loses a right that submissions need
        user_url(server, "-xadd")
        # Then the front end is not ready and says why, in its log too, and refuses a submission
        assert not api.is_ready()
        with clip.open("rb") as stream:
            answer = api.post("/jobs", files={"file": (clip.name, stream)})
        assert (answer.status_code, answer.json()["code"]) == (503, "QUEUE_UNAVAILABLE")
        web.wait_for_log("web.not_ready")
        assert "Redis denies a right" in web.output()
        # And so does the doctor
        doctor = deployment.run("doctor")
        assert doctor.wait() == 1
        assert "FAIL  redis     REDIS_URL=redis://***@" in doctor.output()
        assert "'xadd'" in doctor.output()
        # When all its rights are lost, then both say so, and wait
        user_url(server, "nocommands")
        worker.wait_for_log("Redis denies a right")
        web.wait_for_log(GUARD_REDIS_REFUSED)
        # When it has them again, then the service works again
        user_url(server)
        eventually(api.is_ready, "a front end that is ready again")
        assert api.finished(api.upload(clip)["job_id"])["status"] == "completed"
        assert PASSWORD not in "".join(process.output() for process in deployment.processes)


def test_a_broker_that_refuses_costs_readiness_and_no_job(tmp_path: Path, server: RedisServer, clip: Path) -> None:
    """Without the check of the broker's rights the front end stays ready, though no worker hears of its jobs."""
    # Given a front end with a broker of its own
    settings = {"CELERY_BROKER_URL": user_url(server, db=1)}
    with Deployment(tmp_path, redis_url=server.url, **settings) as deployment:
        api, web = deployment.web(), deployment.processes[0]
        # When the broker's user loses the right to send
        user_url(server, "-lpush", db=1)
        # Then the front end is not ready and says why
        assert not api.is_ready()
        web.wait_for_log("web.not_ready")
        assert "Redis denies a right" in web.output()
        # And a job is accepted all the same, since its record stands
        api.upload(clip)
        web.wait_for_log(JOB_NOTIFICATION_LOST)
        assert "'lpush'" in web.output()


@pytest.mark.parametrize(
    "text", ["return no_such_variable.field", "this is not Lua", "error('wrong')", "return redis.call('GET')"]
)
def test_a_script_that_is_wrong_is_an_internal_error(server: RedisServer, tmp_path: Path, text: str) -> None:
    script = tmp_path / "wrong.lua"
    script.write_text(text)
    with RedisDatabase(server.url) as database, pytest.raises(ScriptFailed):
        database.run(script)


def test_a_script_that_fails_is_loud(tmp_path: Path, server: RedisServer, clip: Path) -> None:
    """As unavailable Redis it was tried again, for ever."""
    # Given a key of another type than the scripts expect
    with Deployment(tmp_path, redis_url=server.url) as deployment:
        api, web = deployment.web(), deployment.processes[0]
        server.admin.set("clipzy:jobs:queued", "text")
        # When a job is submitted
        with clip.open("rb") as stream:
            answer = api.post("/jobs", files={"file": (clip.name, stream)})
        # Then the answer is an internal error, and the log has what failed
        assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
        web.wait_for_log("ScriptFailed: a script failed in Redis: WRONGTYPE")


@pytest.mark.parametrize(("trouble", "code"), [(demoted, "READONLY"), (full, "OOM")], ids=["demoted", "full"])
def test_a_script_that_redis_does_not_run_now_is_no_internal_error(
    server: RedisServer, tmp_path: Path, trouble: object, code: str
) -> None:
    script = tmp_path / "right.lua"
    script.write_text("return redis.call('SET', KEYS[1] .. 'x', 1)")
    with trouble(server) as url, RedisDatabase(url) as database:  # type: ignore[operator]
        with pytest.raises(QueueUnavailable, match=code) as error:
            database.run(script)
        assert error.value.certain


def test_a_right_that_a_script_lacks_is_a_refusal_and_may_have_done_something(
    server: RedisServer, tmp_path: Path
) -> None:
    script = tmp_path / "right.lua"
    script.write_text("redis.call('SET', KEYS[1] .. 'x', 1) return redis.call('INCR', KEYS[1] .. 'y')")
    with RedisDatabase(user_url(server, "-incr")) as database:
        with pytest.raises(QueueUnavailable, match="denies a right") as error:
            database.run(script)
        assert not error.value.certain


def test_the_two_uses_are_told_apart_by_the_settings() -> None:
    one = settings_from_env({"REDIS_URL": "redis://h"})
    two = settings_from_env({"REDIS_URL": "redis://h", "CELERY_BROKER_URL": f"redis://h:{free_port()}"})
    assert redis_check.uses_of(one, "REDIS_URL") == ("records", "broker")
    assert redis_check.uses_of(two, "REDIS_URL") == ("records",)
    assert redis_check.uses_of(two, "CELERY_BROKER_URL") == ("broker",)
